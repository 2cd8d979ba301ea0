"""Scores: how much each weight matters. One file per score."""

from tickets_tf.scores.score import Score
from tickets_tf.scores.score import score_weights

__all__ = ['Score', 'score_weights']
