"""Models whose readout is worked out in numpy."""

import keras
import numpy as np
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.layers import FFConv2D, FFDense
from keras_ff.models import scoring

CLASSES = 3
FEATURES = 5
UNITS = (6, 4, 7)


def samples(count=8, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, FEATURES)).astype("float32"), rng.integers(0, CLASSES, count)


def model_with(readout, units=UNITS, **settings):
    """A compiled, built model; `layers_trained` is 0."""
    keras.utils.set_random_seed(3)
    model = keras_ff.FFModel(
        [FFDense(width, bias_initializer="normal") for width in units],
        CLASSES,
        readout=readout,
        **{"layer_schedule": "simultaneous", **settings},
    )
    model.compile(keras.optimizers.SGD(0.1), "symba", run_eagerly=True)
    model.build((None, FEATURES))
    return model


def class_group_model(readout, units=(6, 9), **settings):
    """A compiled, built model of class groups; `layers_trained` is 0."""
    keras.utils.set_random_seed(3)
    model = keras_ff.FFModel(
        [FFDense(width, goodness="class_groups", bias_initializer="normal") for width in units],
        CLASSES,
        readout=readout,
        label_embedding=None,
        negatives=None,
        layer_schedule="simultaneous",
    )
    settings = {"optimizer": keras.optimizers.SGD(0.1), "metrics": ["accuracy"], **settings}
    model.compile(**{"run_eagerly": True, **settings})
    model.build((None, FEATURES))
    return model


def features(model, x):
    """What a softmax head sees of samples."""
    return model.readout.features(scoring.values(model, x), scoring.trained(model))


def head_step(model, x, y, sample_weight=None):
    """A step of a softmax head: its scores and its loss of before the step."""
    return model.readout.train_step(features(model, x), y, sample_weight)


def normalised(rows):
    return rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + 1e-8)


def activities_by_hand(model, x, label_rows):
    """Activities of every layer in float64, for label rows of energy 1."""
    x = x.astype("float64").reshape(len(x), -1)
    length = np.sqrt(0.1 * (x**2).sum(axis=1, keepdims=True))
    rows = np.concatenate([x, length * label_rows], axis=1)
    found = []
    for layer in model.ff_layers:
        kernel, bias = (convert_to_numpy(weight) for weight in layer.transform.weights)
        rows = np.maximum(normalised(rows) @ kernel.astype("float64") + bias, 0.0)
        found.append(rows)
    return found


def image_model(kind, readout):
    """Two convolutions for images of 6 x 5 pixels, which do not learn but count as trained."""
    keras.utils.set_random_seed(3)
    parts, goodness = {"label_embedding": "overlay"}, {}
    if kind == "class groups":
        parts = {"label_embedding": None, "negatives": None}
        goodness = {"goodness": "class_groups"}
    model = keras_ff.FFModel(
        [FFConv2D(6, 3, activation="tanh", **goodness) for _ in range(2)],
        CLASSES,
        layer_schedule="simultaneous",
        readout=readout,
        **parts,
    )
    model.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"], run_eagerly=True)
    return model


def moved(x, pixels):
    """Images of which the pixel at (row, column) was at (row - pixels, column - pixels)."""
    rows, columns = (np.clip(np.arange(side) - pixels, 0, side - 1) for side in x.shape[1:3])
    return x[:, rows][:, :, columns]


VIEWS = {
    "mirrored": ({"mirrored": True}, lambda x: [x, x[:, :, ::-1]]),
    "moved": ({"shift": 2}, lambda x: [x, moved(x, 2), moved(x, -2)]),
    "both": (
        {"mirrored": True, "shift": 1},
        lambda x: [moved(x, by)[:, :, ::side] for by in (0, 1, -1) for side in (1, -1)],
    ),
}
