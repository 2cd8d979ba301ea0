"""Smaller networks that compute the same, without the channels that a mask leaves without purpose.

In `call` is a layer's call as compaction sees it, in `channelwise` and `linear` are the kinds of layers that it
understands, and `kinds` tells which layer is of which kind. `network` carries what is known through a network and cuts
it; `compacting` is what others call. `cutting` leaves out what has no purpose in training either.
"""

from tickets_tf.models.compaction.compacting import Compaction, compact
from tickets_tf.models.compaction.cutting import Cut, reason_against

__all__ = ['Compaction', 'Cut', 'compact', 'reason_against']
