"""Data sets as uint8 arrays or as images that stay in their files, and batches of them as a pure function of the step.

    dataset = load_dataset('digits')
    pipeline = Pipeline(dataset.train, 64, seed=0, augmentation=dataset.augmentation,
                        crop_padding=dataset.crop_padding, mean=dataset.mean, std=dataset.std)
    for images, labels in pipeline.dataset(0, pipeline.steps_per_epoch):
      ...

A data set is a loader, `load(data_dir, image_size) -> Dataset`, in `tickets_tf.registry.DATASETS`.
"""

from tickets_tf.data.image_files import SUFFIXES as IMAGE_SUFFIXES
from tickets_tf.data.image_tree import is_hidden
from tickets_tf.data.image_tree import is_image
from tickets_tf.data.images import WHITE
from tickets_tf.data.images import load_image
from tickets_tf.data.memory import Placement
from tickets_tf.data.pipeline import Pipeline
from tickets_tf.data.pipeline import normalise
from tickets_tf.data.scoring_batch import scoring_batches
from tickets_tf.data.scoring_batch import scoring_images
from tickets_tf.data.sources import FEW
from tickets_tf.data.sources import Dataset
from tickets_tf.data.sources import Examples
from tickets_tf.data.sources import Loader
from tickets_tf.data.sources import load_dataset
from tickets_tf.data.sources import small_classes
from tickets_tf.data.stored import Images
from tickets_tf.data.stored import StoredImages

__all__ = [
    'FEW',
    'IMAGE_SUFFIXES',
    'WHITE',
    'Dataset',
    'Examples',
    'Images',
    'Loader',
    'Pipeline',
    'Placement',
    'StoredImages',
    'is_hidden',
    'is_image',
    'load_dataset',
    'load_image',
    'normalise',
    'scoring_batches',
    'scoring_images',
    'small_classes',
]
