"""A trained model and measured layers that pictures show."""

import keras
import numpy as np
import pytest

import keras_ff
from tests.helpers.pictures import FIRST, LABELS, SECOND, layer_of, measured_of


@pytest.fixture(scope="module")
def two_classes():
    """40 samples, and a model that has learned a little of them."""
    rng = np.random.default_rng(7)
    y = np.arange(40) % 2
    x = rng.normal(size=(40, 6)).astype("float32") + np.where(y[:, None] == 0, 1.0, -1.0)
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8) for _ in range(2)], num_classes=2)
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, loss=keras_ff.losses.Logistic(threshold=[1.5, 2.5]))
    model.fit(x, y, epochs=8, batch_size=10, verbose=0)
    return model, x, y


@pytest.fixture
def measured():
    layers = [
        layer_of([2, 3, 4, 5], [0, 1, 2, 6], FIRST, 1, threshold=1.5),
        layer_of([0, 1, 2, 3], [0, 1, 2, 3], SECOND, 2),
    ]
    return measured_of(layers, LABELS)
