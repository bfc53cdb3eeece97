"""`keras.config.set_floatx("float64")`: weights and products in float64, goodness in float32."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff.layers import FFConv2D, FFDense
from tests.helpers import mostly_slow

X = np.random.default_rng(0).random((12, 6, 6, 1))
Y = np.arange(12) % 3

MODELS = {
    "append": lambda: {"layers": [FFDense(8), FFDense(8)]},
    "overlay, greedy": lambda: {
        "layers": [FFDense(8), FFDense(8)],
        "label_embedding": "overlay",
        "layer_schedule": "greedy",
    },
    "class groups": lambda: {
        "layers": [FFConv2D(6, goodness="class_groups", normalization="class_groups")],
        "label_embedding": None,
        "negatives": None,
    },
    "label map": lambda: {
        "layers": [FFConv2D(4, normalization="batch")],
        "label_embedding": "label_map",
    },
    "softmax": lambda: {
        "layers": [FFDense(8, dropout=0.2)],
        "negatives": "hard_labels",
        "readout": "softmax",
    },
    "learned threshold": lambda: {
        "layers": [FFDense(8, loss=keras_ff.losses.Logistic(threshold="learned"))]
    },
    "unsupervised": lambda: {
        "layers": [FFDense(8)],
        "label_embedding": None,
        "negatives": "perturbation",
        "readout": "softmax",
    },
    "alternating": lambda: {"layers": [FFDense(8), FFDense(8)], "layer_schedule": "alternating"},
}


@pytest.fixture
def floatx():
    yield keras.config.set_floatx
    keras.config.set_floatx("float32")


def learned(name, eager):
    """Scores of a model before and after it has learned."""
    keras.utils.set_random_seed(1)
    settings = {"layer_schedule": "simultaneous", **MODELS[name]()}
    model = keras_ff.FFModel(num_classes=3, **settings)
    model.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"], run_eagerly=eager)
    model.build(X.shape)
    before = model.predict(X, verbose=0)
    model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y))
    return model, before, model.predict(X, verbose=0)


@pytest.mark.slow
@mostly_slow("name", MODELS, quick=(0, 2))
def test_it_learns(name, floatx):
    floatx("float64")
    model, before, after = learned(name, eager=True)
    assert model.ff_layers[0].transform.kernel.dtype == "float64"
    assert after.dtype == "float32"
    assert np.isfinite(after).all()
    assert np.abs(after - before).max() > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MODELS)[::3])
def test_it_learns_compiled(name, floatx):
    floatx("float64")
    _, before, after = learned(name, eager=False)
    assert np.isfinite(after).all()
    assert np.abs(after - before).max() > 1e-6
