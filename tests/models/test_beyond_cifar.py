"""Networks beyond those of the paper: their size, what can be pruned in them, and that paths lead through."""

import numpy as np
import pytest

from tickets_tf import models
from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.models import vit
from tickets_tf.pruning.allocation import allocate
from tickets_tf.pruning.allocation import kept_total
from tickets_tf.pruning.mask import Mask

# Name: size of the images, trainable parameters and kernels at 1000 classes. They are those of the papers' networks.
# But vit_tiny has no class token (192) and no trained positions (197 x 192), and its patches are 2x2 in images that
# small. MobileNetV2's 34,112 running statistics are not trained.
NETWORKS = {
    'resnet18': ((9, 12), 11_689_512, 21),
    'resnet50': ((32, 32), 25_583_592, 54),
    'wide_resnet16_8': ((8, 11), 10_961_370 + 990 * 513, 17),
    'mobilenet_v2': ((32, 33), 3_538_984 - 34_112, 53),
    'vit_tiny': ((9, 11), 5_717_416 - 192 - 197 * 192 - 192 * 3 * (16 * 16 - 2 * 2), 74),
}


@pytest.mark.parametrize('name', NETWORKS)
def test_a_network_has_its_size_and_its_paths_connect(name):
  size, parameters, number = NETWORKS[name]
  model = models.build_model(name, (*size, 3), 1000)
  kernels = models.prunable_kernels(model)
  assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == parameters
  assert len(kernels) == number and [kernel.name for kernel in kernels if kernel.classifier] == ['classifier']
  assert kernels[0].residual and kernels[-1].classifier and not models.unpruned_weights(model)
  assert model.name == name and model.output_shape == (None, 1000)
  if parameters < 20e6:  # The paths of the largest take long.
    assert models.collapse(model, Mask.dense(kernels)).connected
  counts = allocate(kernels, 0.5, 'smart')
  assert sum(counts) == kept_total(kernels, 0.5) and counts[-1] >= int(0.3 * kernels[-1].size) and min(counts) > 0


@pytest.mark.parametrize('arguments, expected', [
    (('resnet18', (7, 9, 3), 10), 'model resnet18: images of 7x9; at least 8x8'),
    (('resnet50', (31, 40, 3), 10), 'model resnet50: images of 31x40; at least 32x32'),
    (('mobilenet_v2', (40, 31, 3), 10), 'model mobilenet_v2: images of 40x31; at least 32x32'),
    (('vit_tiny', (8, 7, 3), 10), 'model vit_tiny: images of 8x7; at least 8x8'),
    (('wide_resnet16_8', (7, 8, 3), 10), 'model wide_resnet16_8: images of 7x8; at least 8x8'),
    (('wide_resnet18_2', (8, 8, 3), 10), r'model wide_resnet18_2: the depth must be 6n \+ 4'),
    (('resnet20_2', (8, 8, 3), 10), "model 'resnet20_2' takes no factor"),
    (('resnet50', (32, 32, 3), 10, None, 16), "model 'resnet50' takes no width")])
def test_networks_that_do_not_exist(arguments, expected):
  with pytest.raises(UsageError, match=expected):
    models.build_model(*arguments)


@pytest.mark.parametrize('width', [1, 6, 8])
def test_every_place_of_a_vision_transformer_has_a_position_of_its_own(width):
  found = vit._positions(3, 5, width)
  assert found.shape == (15, width) and found.dtype == np.float32
  assert len(np.unique(found, axis=0)) == (15 if width > 3 else 1)
  assert width < 4 or np.allclose(found[:, 0], np.sin(np.repeat(np.arange(3), 5))), 'the row at the first rate'


def test_a_name_has_a_depth_and_a_factor():
  table = registry.MODELS
  assert (table.split('wide_resnet22_2'), table.factor('wide_resnet22_2')) == (('wide_resnet', 22), 2)
  assert (table.split('mobilenet_v2'), table.factor('resnet20')) == (('mobilenet_v2', None), None)
  by_name, by_default = (models.build_model(name, (8, 8, 1), 3, width=2) for name in ('wide_resnet16_8', 'wide_resnet'))
  assert [tuple(one.shape) for one in by_name.weights] == [tuple(other.shape) for other in by_default.weights]
  assert not table.has_width('resnet50') and table.has_width('resnet18')
