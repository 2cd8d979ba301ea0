"""A training step in PyTorch, with gradients masked as in the authors' training. It needs `torch-benchmark`."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks import torch_networks
from benchmarks.training_case import TrainingCase
from tickets_tf.runs.settings import Settings


def prepare(case: TrainingCase, steps: int, layout: str) -> Callable[[], None]:
  """Returns a function that trains a random ticket for `steps` steps.

  Args:
    case: the network and its training.
    steps: how many steps.
    layout: `'channels_first'` or `'channels_last'`.
  """
  torch.set_num_threads(case.threads)
  torch.manual_seed(0)
  family = case.network.rstrip('0123456789')
  network = torch_networks.BUILDERS[family](int(case.network[len(family):]), case.width, 10, case.image[-1])
  formats = {'channels_first': torch.contiguous_format, 'channels_last': torch.channels_last}
  network.to(memory_format=formats[layout])
  weights = torch_networks.prunable_weights(network)
  rng = np.random.default_rng(0)
  for weight in weights:
    weight.data.mul_(torch.from_numpy(rng.random(tuple(weight.shape)) >= case.ratio))
  images, labels = case.batch()
  batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=formats[layout])
  defaults = Settings()
  optimizer = torch.optim.SGD(network.parameters(), defaults.learning_rate, defaults.momentum,
                              weight_decay=defaults.weight_decay)
  targets, half = torch.from_numpy(labels), case.dtype == 'bfloat16'
  network.train()

  def train() -> None:
    loss = torch.zeros(())
    for _ in range(steps):
      loss = _step(network, weights, optimizer, batch, targets, half)
    loss.item()

  return train


def _step(network: nn.Module, weights: list[torch.Tensor], optimizer: torch.optim.Optimizer, batch: torch.Tensor,
          targets: torch.Tensor, half: bool) -> torch.Tensor:
  optimizer.zero_grad()
  with torch.autocast('cpu', torch.bfloat16, enabled=half):
    loss = F.cross_entropy(network(batch), targets)
  loss.backward()  # type: ignore[no-untyped-call]
  for weight in weights:
    # What is zero is removed.
    assert weight.grad is not None, 'the loss depends on every kernel'
    weight.grad.mul_(weight.data.abs().gt(0).float())
  optimizer.step()
  return loss
