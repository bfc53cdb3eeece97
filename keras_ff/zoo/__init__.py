"""Presets: trained networks and configurations, each in a folder of its own, with a card."""

from keras_ff.presets.folders import VARIABLE, register
from keras_ff.presets.listing import get, list_presets
from keras_ff.presets.preset import Preset
from keras_ff.presets.saving import save
from keras_ff.zoo.ensembles import publish_ensemble
from keras_ff.zoo.publishing import publish, save_recipe, save_run

__all__ = [
    "VARIABLE",
    "Preset",
    "get",
    "list_presets",
    "publish",
    "publish_ensemble",
    "register",
    "save",
    "save_recipe",
    "save_run",
]
