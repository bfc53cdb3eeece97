"""Normalizations: what happens to a layer's inputs before its transform."""

from keras_ff.normalizations.class_group_normalization import ClassGroupNormalization
from keras_ff.normalizations.length_normalization import LengthNormalization
from keras_ff.normalizations.peer_normalization import PeerNormalization

__all__ = ["ClassGroupNormalization", "LengthNormalization", "PeerNormalization"]
