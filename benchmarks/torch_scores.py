"""The scores written plainly in PyTorch, as opponents of `tickets_tf.scores`; needs the extra `torch-benchmark`.

A score is a function `score(network, images, labels, uniform)` that returns one tensor per prunable kernel. What they
compute is defined in `tickets_tf.scores`; batches are cut into chunks as there, since batch norm sees one at a time.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import torch_networks

_CHUNK = 100


def snip(network, images, labels, uniform):
  """Returns |theta * dL/dtheta|."""
  del uniform
  network.train()
  weights = torch_networks.prunable_weights(network)
  gradients = _gradient(network, weights, _chunks(images, labels))
  return [(weight * gradient).abs() for weight, gradient in zip(weights, gradients)]


def grasp(network, images, labels, uniform, temperature=200.0):
  """Returns theta * (H g), halves in turn: gradients first, then their products with what was found."""
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
    inner = sum((part * gradient).sum() for part, gradient in zip(parts, gradients))
    for product, part in zip(products, torch.autograd.grad(inner, weights)):
      product += part
  return [weight * product for weight, product in zip(weights, products)]


def obd(network, images, labels, uniform):
  """Returns 0.5 theta^2 h, h the Fisher information, in a loop over examples and, up to ten classes, over labels."""
  del labels
  network.eval()
  weights = torch_networks.prunable_weights(network)
  squares = [torch.zeros_like(weight) for weight in weights]
  for image, number in zip(images, uniform):
    logs = F.log_softmax(network(image[None]), dim=1)[0]
    probabilities = logs.detach().double().exp()
    if len(logs) > 10:
      drawn = (probabilities.cumsum(0)[:-1] < number).sum()
      chosen = [(logs[drawn], 1.0)]
    else:
      chosen = list(zip(logs, probabilities.tolist()))
    for log, share in chosen:
      for square, gradient in zip(squares, torch.autograd.grad(log, weights, retain_graph=True)):
        square += share * gradient**2
  return [0.5 * weight**2 * square / len(images) for weight, square in zip(weights, squares)]


def synflow(network, images, labels, uniform):
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
  return [weight * gradient for weight, gradient in zip(weights, torch.autograd.grad(flow, weights))]


def prepare(case, score, layout):
  """Makes all ready for a score.

  Args:
    case: a `cases.Case`.
    score: name of a function above.
    layout: `'channels_first'` or `'channels_last'`.

  Returns:
    A function without arguments to a list of arrays in Keras' layout.
  """
  network = torch_networks.BUILDERS[case.family](case.depth, case.width, case.num_classes)
  torch_networks.load_weights(network, case.weights)
  formats = {'channels_first': torch.contiguous_format, 'channels_last': torch.channels_last}
  images = torch.from_numpy(case.images).permute(0, 3, 1, 2).contiguous(memory_format=formats[layout])
  network.to(memory_format=formats[layout])
  labels, function = torch.from_numpy(case.labels), _SCORES[score]
  return lambda: [torch_networks.to_keras(each) for each in function(network, images, labels, case.uniform)]


_SCORES = {'snip': snip, 'grasp': grasp, 'obd': obd, 'synflow': synflow}


def _gradient(network, weights, pieces, temperature=1.0):
  total = [torch.zeros_like(weight) for weight in weights]
  for images, labels, share in pieces:
    loss = share * F.cross_entropy(network(images) / temperature, labels)
    for each, part in zip(total, torch.autograd.grad(loss, weights)):
      each += part
  return total


def _chunks(images, labels):
  parts = -(-len(images) // _CHUNK)
  return [(some, their, len(some) / len(images))
          for some, their in zip(images.tensor_split(parts), labels.tensor_split(parts))]
