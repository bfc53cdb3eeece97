"""Tuning thresholds, margins and the rest with KerasTuner, which makes the search."""

from keras_ff.tuning.hyper_model import FFHyperModel
from keras_ff.tuning.pictures import accuracy_map, effects
from keras_ff.tuning.search import TUNERS, Result, results, tune
from keras_ff.tuning.space import SPACE, Among, Between

__all__ = [
    "SPACE",
    "TUNERS",
    "Among",
    "Between",
    "FFHyperModel",
    "Result",
    "accuracy_map",
    "effects",
    "results",
    "tune",
]
