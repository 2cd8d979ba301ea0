"""Tickets as files that run without this package, and the classifiers that they are."""

from tickets_tf.export.classifier import Classifier
from tickets_tf.export.loading import load_ticket
from tickets_tf.export.saved_model import write_saved_model

__all__ = ['Classifier', 'load_ticket', 'write_saved_model']
