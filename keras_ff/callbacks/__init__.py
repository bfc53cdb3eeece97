"""Callbacks: those that `FFModel.fit` adds by itself, and those for a user to add."""

from keras_ff.callbacks.layer_schedule import FrozenActivitiesCallback, LayerScheduleCallback
from keras_ff.callbacks.progress_bar import ProgressBar
from keras_ff.callbacks.tensorboard import FFTensorBoard
from keras_ff.callbacks.with_own import with_own

__all__ = [
    "FFTensorBoard",
    "FrozenActivitiesCallback",
    "LayerScheduleCallback",
    "ProgressBar",
    "with_own",
]
