"""What people read, made from records alone."""

from tickets_tf.report.tables import layer_table
from tickets_tf.report.tables import summary

__all__ = ['layer_table', 'summary']
