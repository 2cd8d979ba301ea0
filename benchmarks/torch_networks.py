"""The networks of `tickets_tf.models` in plain PyTorch. Modules have the layers' names, with dots for underscores."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

# Convolutions per stage.
_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
# For each kind of module its parameters and statistics, and what Keras calls them.
_WEIGHTS: dict[type[nn.Module], dict[str, str]] = {
    nn.Conv2d: {'weight': 'kernel', 'bias': 'bias'},
    nn.Linear: {'weight': 'kernel', 'bias': 'bias'},
    nn.BatchNorm2d: {'weight': 'gamma', 'bias': 'beta',
                     'running_mean': 'moving_mean', 'running_var': 'moving_variance'},
}


class _Block(nn.Module):

  def __init__(self, before: int, filters: int, stride: int) -> None:
    super().__init__()
    self.conv1 = nn.Conv2d(before, filters, 3, stride, padding=1, bias=False)
    self.norm1 = nn.BatchNorm2d(filters)
    self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
    self.norm2 = nn.BatchNorm2d(filters)
    self.shortcut: nn.Module | None = None
    if stride > 1 or before != filters:
      self.shortcut = nn.Conv2d(before, filters, 1, stride, bias=False)
      self.shortcut_norm = nn.BatchNorm2d(filters)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    y = F.relu(self.norm1(self.conv1(x)))
    y = self.norm2(self.conv2(y))
    return F.relu(y + (self.shortcut_norm(self.shortcut(x)) if self.shortcut else x))


def resnet(depth: int, width: int, num_classes: int, channels: int = 3) -> nn.Sequential:
  """Builds the counterpart of `tickets_tf.models.resnet`."""
  network = nn.Sequential()
  network.add_module('conv1', nn.Conv2d(channels, width, 3, padding=1, bias=False))
  network.add_module('norm1', nn.BatchNorm2d(width))
  network.add_module('relu1', nn.ReLU())
  before = width
  for stage in (1, 2, 3):
    for block in range(1, (depth - 2) // 6 + 1):
      filters, stride = width * 2**(stage - 1), 2 if stage > 1 and block == 1 else 1
      network.add_module(f'stage{stage}_block{block}', _Block(before, filters, stride))
      before = filters
  return _with_classifier(network, before, num_classes)


def vgg(depth: int, width: int, num_classes: int, channels: int = 3) -> nn.Sequential:
  """Builds the counterpart of `tickets_tf.models.vgg` for images of 32x32."""
  network = nn.Sequential()
  before, number = channels, 0
  for stage, (convolutions, factor) in enumerate(zip(_STAGES[depth], (1, 2, 4, 8, 8), strict=True), start=1):
    for _ in range(convolutions):
      number, filters = number + 1, width * factor
      network.add_module(f'conv{number}', nn.Conv2d(before, filters, 3, padding=1))
      network.add_module(f'norm{number}', nn.BatchNorm2d(filters))
      network.add_module(f'relu{number}', nn.ReLU())
      before = filters
    if stage < 5:
      network.add_module(f'pool{stage}', nn.MaxPool2d(2))
  return _with_classifier(network, before, num_classes)


def _with_classifier(network: nn.Sequential, features: int, num_classes: int) -> nn.Sequential:
  network.add_module('pool', nn.AdaptiveAvgPool2d(1))
  network.add_module('flatten', nn.Flatten())
  network.add_module('classifier', nn.Linear(features, num_classes))
  return network


# Functions of depth, width, classes and, if they are not colours, channels of the images.
BUILDERS: dict[str, Callable[..., nn.Sequential]] = {'resnet': resnet, 'vgg': vgg}


@torch.no_grad()
def load_weights(network: nn.Module, weights: Mapping[str, npt.NDArray[np.float32]]) -> None:
  """Gives a network the weights of its counterpart in Keras.

  Args:
    network: what `resnet` or `vgg` built.
    weights: arrays by names as in `'conv1/kernel'`; kernels are HWIO or inputs x outputs.
  """
  for name, module in network.named_modules():
    for own, keras_name in _WEIGHTS.get(type(module), {}).items():
      tensor = getattr(module, own)
      if tensor is not None:
        array = torch.from_numpy(weights[f'{name.replace(".", "_")}/{keras_name}'])
        tensor.copy_(array.permute(3, 2, 0, 1) if array.ndim == 4 else array.T if array.ndim == 2 else array)


def prunable_weights(network: nn.Module) -> list[torch.Tensor]:
  """Returns the kernels of convolutions and dense layers, parameters in the order of their definition."""
  return [module.weight for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def to_keras(tensor: torch.Tensor) -> npt.NDArray[np.floating]:
  """Returns a kernel or its score as an array of Keras' layout."""
  array: npt.NDArray[np.floating] = tensor.detach().numpy()
  return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
