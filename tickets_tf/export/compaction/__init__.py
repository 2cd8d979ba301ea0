"""Smaller networks that compute the same, without the channels that a mask leaves without purpose.

`call` is a layer's call as compaction sees it, `channelwise` and `linear` are the kinds of layers that it understands,
`kinds` tells which layer is of which kind, `network` carries what is known through a network and cuts it, and `compact`
is what others call.
"""

from tickets_tf.export.compaction.compact import Compaction, compact

__all__ = ['Compaction', 'compact']
