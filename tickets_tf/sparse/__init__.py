"""Networks that hold a ticket's mask, on tfmot's wrappers; the only package that knows tfmot."""

from tickets_tf.sparse import tfmot_import  # noqa: F401  # Before all that import tfmot.
from tickets_tf.sparse.masked_model import check_removed
from tickets_tf.sparse.masked_model import mask_of
from tickets_tf.sparse.masked_model import revived
from tickets_tf.sparse.masked_model import set_mask
from tickets_tf.sparse.masked_model import set_schedule
from tickets_tf.sparse.masked_model import strip
from tickets_tf.sparse.masked_model import wrap
from tickets_tf.sparse.schedule import TicketSchedule
from tickets_tf.sparse.schedule import update_schedule
from tickets_tf.sparse.summaries import summaries
from tickets_tf.sparse.wrapper import TicketWrapper

__all__ = ['TicketSchedule', 'TicketWrapper', 'check_removed', 'mask_of', 'revived', 'set_mask', 'set_schedule',
           'strip', 'summaries', 'update_schedule', 'wrap']
