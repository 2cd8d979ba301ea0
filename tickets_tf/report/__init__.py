"""What people read, made from records and verdicts alone."""

from tickets_tf.report.notebook import sanity_page
from tickets_tf.report.sanity import write_sanity
from tickets_tf.report.tables import layer_table
from tickets_tf.report.tables import runs_table
from tickets_tf.report.tables import summary
from tickets_tf.report.tables import write_runs
from tickets_tf.report.terminal import sanity_table

__all__ = ['layer_table', 'runs_table', 'sanity_page', 'sanity_table', 'summary', 'write_runs', 'write_sanity']
