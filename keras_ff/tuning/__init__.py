"""Tuning thresholds, margins and the rest with KerasTuner, which makes the search."""

from keras_ff.tuning.calibration import calibrated_thresholds
from keras_ff.tuning.hyper_model import FFHyperModel
from keras_ff.tuning.layer_wise import LayerHyperModel
from keras_ff.tuning.pictures import accuracy_map, effects
from keras_ff.tuning.search import BEST, TUNERS, Result, results, tune, tune_layers
from keras_ff.tuning.space import SPACE, Among, Between

__all__ = [
    "BEST",
    "SPACE",
    "TUNERS",
    "Among",
    "Between",
    "FFHyperModel",
    "LayerHyperModel",
    "Result",
    "accuracy_map",
    "calibrated_thresholds",
    "effects",
    "results",
    "tune",
    "tune_layers",
]
