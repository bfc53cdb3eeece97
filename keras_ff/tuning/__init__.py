"""Tuning thresholds, margins and the rest with KerasTuner, which makes the search.

It needs the extra `tune`: besides KerasTuner scikit-learn and scipy for Bayesian searches,
TensorBoard, whose hyperparameters KerasTuner writes, and matplotlib.
"""

from keras_ff.utils import extras

# KerasTuner itself would say that some of them are missing when a search is under way.
extras.require("Searches", "tune", "keras_tuner", "sklearn", "scipy", "tensorboard", "matplotlib")

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
