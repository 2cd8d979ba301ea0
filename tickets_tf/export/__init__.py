"""Tickets as files that run without this package."""

from tickets_tf.export.saved_model import export_saved_model
from tickets_tf.export.saved_model import load_ticket

__all__ = ['export_saved_model', 'load_ticket']
