"""Networks that hold a ticket's mask, on tfmot's wrappers; the only package that knows tfmot."""

from tickets_tf.sparse.schedule import TicketSchedule
from tickets_tf.sparse.summaries import summaries
from tickets_tf.sparse.wrapper import TicketWrapper
from tickets_tf.sparse.wrapper import mask_of
from tickets_tf.sparse.wrapper import set_mask
from tickets_tf.sparse.wrapper import strip
from tickets_tf.sparse.wrapper import wrap

__all__ = ['TicketSchedule', 'TicketWrapper', 'mask_of', 'set_mask', 'strip', 'summaries', 'wrap']
