"""Masks and weights in files of this and other programs: what is in a file, and which array belongs to which kernel.

No file is ever unpickled.
"""

from tickets_tf.exchange.containers import NETWORK, SUFFIXES, Container, Mismatch, Stored, check_kind, naming, opened
from tickets_tf.exchange.layouts import LAYOUTS
from tickets_tf.exchange.name_map import Told, read_names, write_names, write_template
from tickets_tf.exchange.own import OWN_SUFFIXES, read_own, write_own
from tickets_tf.exchange.reading import read_masks
from tickets_tf.exchange.weights import Network, read_network

__all__ = ['LAYOUTS', 'NETWORK', 'OWN_SUFFIXES', 'SUFFIXES', 'Container', 'Mismatch', 'Network', 'Stored', 'Told',
           'check_kind', 'naming', 'opened', 'read_masks', 'read_names', 'read_network', 'read_own',
           'write_names', 'write_own', 'write_template']
