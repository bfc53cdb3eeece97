"""A dense layer and its length normalisation, written out in numpy."""

import keras
import numpy as np

from keras_ff.layers import (
    FFDense,
)

ACTIVATIONS = {
    "relu": lambda z: np.maximum(z, 0.0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    None: lambda z: z,
}


def normalised(x, center=False):
    """Length normalisation in float64."""
    rows = np.asarray(x, "float64").reshape(len(x), -1)
    if center:
        rows = rows - rows.mean(axis=1, keepdims=True)
    return (rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + 1e-8)).reshape(np.shape(x))


def dense_by_hand(x, kernel, bias, activation="relu"):
    x = normalised(x).reshape(len(x), -1)
    return ACTIVATIONS[activation](x @ np.asarray(kernel, "float64") + bias)


def sgd(rate=0.1):
    return keras.optimizers.SGD(rate)


def dense(units=4, features=5, **settings):
    layer = FFDense(
        units, **{"loss": "symba", "optimizer": sgd(), "bias_initializer": "normal", **settings}
    )
    layer.build((None, features))
    return layer
