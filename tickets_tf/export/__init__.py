"""Tickets as files that run without this package."""

from tickets_tf.export.loading import load_ticket
from tickets_tf.export.saved_model import export_saved_model

__all__ = ['export_saved_model', 'load_ticket']
