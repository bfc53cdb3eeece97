"""Configurations and hyperparameters of small searches."""

import keras_tuner

from keras_ff.recipes import TrainingConfig


def base(**chosen):
    settings = {"units": (24, 24), "epochs": 2, "loss": "logistic", **chosen}
    return TrainingConfig.for_dataset(**settings)


def parameters(**values):
    hp = keras_tuner.HyperParameters()
    for name, value in values.items():
        hp.Fixed(name, value)
    return hp
