"""Networks by name, and the one answer to what may be pruned in a network."""

from tickets_tf.models import strided_gradient
from tickets_tf.models.build import build_model
from tickets_tf.models.macs import multiply_accumulates
from tickets_tf.models.paths import collapse
from tickets_tf.models.paths import effective_mask
from tickets_tf.models.paths import effective_weights
from tickets_tf.models.paths import live_positions
from tickets_tf.models.prunable import prunable_kernels
from tickets_tf.models.prunable import unpruned_weights
from tickets_tf.models.randomness import may_be_random
from tickets_tf.models.resnet import resnet
from tickets_tf.models.vgg import vgg

__all__ = ['build_model', 'collapse', 'effective_mask', 'effective_weights', 'live_positions',
           'may_be_random', 'multiply_accumulates', 'prunable_kernels', 'resnet', 'unpruned_weights', 'vgg']

# Whoever trains or scores a network imports this package.
strided_gradient.install()
