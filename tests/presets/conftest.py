"""A trained model, and a preset that a test may spoil."""

import shutil

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import FFModel, layers, zoo
from tests.helpers.presets import DIGITS


@pytest.fixture(scope="module")
def trained():
    """A small network after a step, and with a threshold of its own a layer."""
    keras.utils.set_random_seed(1)
    model = FFModel([layers.FFDense(24), layers.FFDense(16)], num_classes=10)
    model.compile("adam", keras_ff.losses.Logistic(threshold="learned"), metrics=["accuracy"])
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype("float32")
    model.fit(x, np.arange(64) % 10, epochs=2, verbose=0)
    return model, x


@pytest.fixture
def copy(tmp_path):
    """A preset that a test may spoil."""
    shutil.copytree(zoo.get(DIGITS[0]).folder, tmp_path / "copy")
    return tmp_path / "copy"
