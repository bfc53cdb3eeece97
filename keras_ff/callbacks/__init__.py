"""Callbacks: those that `FFModel.fit` adds by itself, and those for a user to add."""

from keras_ff.callbacks.tensorboard import FFTensorBoard
from keras_ff.models.progress_bar import ProgressBar

__all__ = ["FFTensorBoard", "ProgressBar"]
