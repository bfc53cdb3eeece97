"""The Forward-Forward model."""

from keras_ff.models.ff_model import FFModel

__all__ = ["FFModel"]
