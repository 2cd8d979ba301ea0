"""The scores written plainly in PyTorch, as opponents of `tickets_tf.scores`. They need the extra `torch-benchmark`.

A score is a function `score(network, images, labels, uniform)` that returns one tensor per prunable kernel. What they
compute is defined in `tickets_tf.scores`. Batches are cut into the same chunks as there, because batch norm sees one
chunk at a time.
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import cases
from benchmarks import torch_networks
from benchmarks.fresh import Scoring

_CHUNK = 100

_Uniform = npt.NDArray[np.float64]
# Images, their labels, and their share of all images.
_Chunk = tuple[torch.Tensor, torch.Tensor, float]


def snip(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, uniform: _Uniform) -> list[torch.Tensor]:
  """Returns |theta * dL/dtheta|."""
  del uniform
  network.train()
  weights = torch_networks.prunable_weights(network)
  gradients = _gradient(network, weights, _chunks(images, labels))
  return [(weight * gradient).abs() for weight, gradient in zip(weights, gradients, strict=True)]


def grasp(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, uniform: _Uniform,
          temperature: float = 200.0) -> list[torch.Tensor]:
  """Returns theta * (H g): first the gradient g over both halves of the batch, then the products with it."""
  del uniform
  network.train()
  weights = torch_networks.prunable_weights(network)
  half = len(images) // 2
  pieces = [*_chunks(images[:half], labels[:half]), *_chunks(images[half:], labels[half:])]
  gradients = _gradient(network, weights, pieces, temperature)
  products = [torch.zeros_like(weight) for weight in weights]
  for some, their, share in pieces:
    loss = share * F.cross_entropy(network(some) / temperature, their)
    parts = torch.autograd.grad(loss, weights, create_graph=True)
    inner = sum(((part * gradient).sum() for part, gradient in zip(parts, gradients, strict=True)), torch.zeros(()))
    for product, part in zip(products, torch.autograd.grad(inner, weights), strict=True):
      product += part
  return [weight * product for weight, product in zip(weights, products, strict=True)]


def obd(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, uniform: _Uniform) -> list[torch.Tensor]:
  """Returns 0.5 theta^2 h, h the Fisher information, in a loop over examples and, up to ten classes, over labels."""
  del labels
  network.eval()
  weights = torch_networks.prunable_weights(network)
  squares = [torch.zeros_like(weight) for weight in weights]
  for image, number in zip(images, uniform, strict=True):
    logs = F.log_softmax(network(image[None]), dim=1)[0]
    probabilities = logs.detach().double().exp()
    if len(logs) > 10:
      drawn = (probabilities.cumsum(0)[:-1] < number).sum()
      chosen = [(logs[drawn], 1.0)]
    else:
      chosen = list(zip(logs, probabilities.tolist(), strict=True))
    for log, share in chosen:
      for square, gradient in zip(squares, torch.autograd.grad(log, weights, retain_graph=True), strict=True):
        square += share * gradient**2
  return [0.5 * weight**2 * square / len(images) for weight, square in zip(weights, squares, strict=True)]


def synflow(network: nn.Module, images: torch.Tensor, labels: torch.Tensor, uniform: _Uniform) -> list[torch.Tensor]:
  """Returns theta * dR/dtheta for |theta|, batch norm left out, in float64."""
  del labels, uniform
  positive = copy.deepcopy(network).double()
  for module in [*positive.modules()]:
    for name, child in module.named_children():
      if isinstance(child, nn.BatchNorm2d):
        setattr(module, name, nn.Identity())
  with torch.no_grad():
    for parameter in positive.parameters():
      parameter.abs_()
  weights = torch_networks.prunable_weights(positive)
  flow = positive(torch.ones(1, *images.shape[1:], dtype=torch.float64)).sum()
  return [weight * gradient for weight, gradient in zip(weights, torch.autograd.grad(flow, weights), strict=True)]


def prepare(case: cases.Case, score: str, layout: str) -> Scoring:
  """Returns a function without arguments that scores a case and gives arrays in Keras' layout.

  Args:
    case: what to score.
    score: name of a function above.
    layout: `'channels_first'` or `'channels_last'`.
  """
  network = torch_networks.BUILDERS[case.family](case.depth, case.width, case.num_classes)
  torch_networks.load_weights(network, case.weights)
  formats = {'channels_first': torch.contiguous_format, 'channels_last': torch.channels_last}
  images = torch.from_numpy(case.images).permute(0, 3, 1, 2).contiguous(memory_format=formats[layout])
  network.to(memory_format=formats[layout])
  labels, function = torch.from_numpy(case.labels), _SCORES[score]
  return lambda: [torch_networks.to_keras(each) for each in function(network, images, labels, case.uniform)]


_SCORES: dict[str, Callable[[nn.Module, torch.Tensor, torch.Tensor, _Uniform], list[torch.Tensor]]] = {
    'snip': snip, 'grasp': grasp, 'obd': obd, 'synflow': synflow}


def _gradient(network: nn.Module, weights: Sequence[torch.Tensor], pieces: Sequence[_Chunk],
              temperature: float = 1.0) -> list[torch.Tensor]:
  total = [torch.zeros_like(weight) for weight in weights]
  for images, labels, share in pieces:
    loss = share * F.cross_entropy(network(images) / temperature, labels)
    for each, part in zip(total, torch.autograd.grad(loss, weights), strict=True):
      each += part
  return total


def _chunks(images: torch.Tensor, labels: torch.Tensor) -> list[_Chunk]:
  parts = -(-len(images) // _CHUNK)
  return [(some, their, len(some) / len(images))
          for some, their in zip(images.tensor_split(parts), labels.tensor_split(parts), strict=True)]
