"""Training: the paper's protocol on Keras' loop, resumable after every epoch."""

from tickets_tf.training.loop import train
from tickets_tf.training.optimizer import SGD
from tickets_tf.training.optimizer import learning_rate_schedule
from tickets_tf.training.strategy import check_jit
from tickets_tf.training.strategy import describe
from tickets_tf.training.strategy import make_strategy
from tickets_tf.training.strategy import share_memory
from tickets_tf.training.strategy import use_threads

__all__ = ['SGD', 'check_jit', 'describe', 'learning_rate_schedule', 'make_strategy', 'share_memory', 'train',
           'use_threads']
