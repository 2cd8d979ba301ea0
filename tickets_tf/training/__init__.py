"""Training: the paper's protocol on Keras' loop, which a killed run resumes from its newest checkpoint."""

from tickets_tf.training.compact_training import train
from tickets_tf.training.epochs import Epoch
from tickets_tf.training.loop import Trained
from tickets_tf.training.loop import holds
from tickets_tf.training.mask_updating import Moving
from tickets_tf.training.optimizer import SGD
from tickets_tf.training.optimizer import learning_rate_schedule
from tickets_tf.training.strategy import check_jit
from tickets_tf.training.strategy import describe_devices
from tickets_tf.training.strategy import is_chief
from tickets_tf.training.strategy import make_strategy
from tickets_tf.training.strategy import share_memory
from tickets_tf.training.strategy import use_threads

__all__ = ['SGD', 'Epoch', 'Moving', 'Trained', 'check_jit', 'describe_devices', 'holds', 'is_chief',
           'learning_rate_schedule', 'make_strategy', 'share_memory', 'train', 'use_threads']
