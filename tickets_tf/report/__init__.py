"""What people read, made from records alone."""

from tickets_tf.report.sanity import sanity_table
from tickets_tf.report.sanity import write_sanity
from tickets_tf.report.tables import layer_table
from tickets_tf.report.tables import summary

__all__ = ['layer_table', 'sanity_table', 'summary', 'write_sanity']
