"""Scores: how much each weight matters. One file per score."""

from tickets_tf.scores.rounds import Rounds
from tickets_tf.scores.score import Score
from tickets_tf.scores.score import at_ratio
from tickets_tf.scores.score import data_free
from tickets_tf.scores.score import looks_at_data
from tickets_tf.scores.score import score_weights
from tickets_tf.scores.score import traceable

__all__ = ['Rounds', 'Score', 'at_ratio', 'data_free', 'looks_at_data', 'score_weights', 'traceable']
