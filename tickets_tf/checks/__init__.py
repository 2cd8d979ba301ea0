"""Sanity checks: each makes a ticket that differs from the original in one thing, and proves that it does.

A check is a `Check`, a function at one of two seams, in `tickets_tf.registry.CHECKS`:

  `'data'`    function(examples, num_classes, rng) -> (examples, proof): changes what the rule sees.
  `'ticket'`  function(original, rng) -> (mask, weights, proof): changes the ticket that the rule has found.
"""

from tickets_tf.checks.check import Check
from tickets_tf.checks.check import DataCheck
from tickets_tf.checks.check import Original
from tickets_tf.checks.check import Proof
from tickets_tf.checks.check import Seam
from tickets_tf.checks.check import TicketCheck
from tickets_tf.checks.check import Weights
from tickets_tf.checks.check import change_data
from tickets_tf.checks.check import change_ticket

__all__ = ['Check', 'DataCheck', 'Original', 'Proof', 'Seam', 'TicketCheck', 'Weights', 'change_data', 'change_ticket']
