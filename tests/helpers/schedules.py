"""Small models and layer schedules, and what a step moves in them."""

import keras
import numpy as np

import keras_ff
from keras_ff.layers import FFDense
from tests.helpers import drawn

RATE = 0.1


def batch(shape=(8, 6), classes=2, seed=1):
    return drawn(shape, seed=seed), np.arange(shape[0]) % classes


def dense_layers(number, **settings):
    return [
        FFDense(
            5 + k,
            activation="tanh",
            kernel_initializer=keras.initializers.GlorotNormal(seed=k),
            **settings,
        )
        for k in range(number)
    ]


def model_of(layers, schedule, classes=2, eager=True, steps=1, metrics=None, loss=None, **settings):
    model = keras_ff.FFModel(layers, classes, layer_schedule=schedule, **settings)
    model.compile(
        keras.optimizers.SGD(RATE),
        loss,
        metrics=metrics,
        run_eagerly=eager,
        steps_per_execution=steps,
    )
    return model


def weights_of(model):
    return [layer.get_weights() for layer in model.ff_layers]


def moved(model, before):
    """Which layers have other weights than before."""
    return tuple(
        index
        for index, (layer, old) in enumerate(zip(model.ff_layers, before, strict=True))
        if any(np.any(new != one) for new, one in zip(layer.get_weights(), old, strict=True))
    )


def assert_same_weights(model, other, atol=1e-6):
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=atol)


def class_groups():
    layers = [
        FFDense(
            4,
            goodness="class_groups",
            normalization="class_groups",
            kernel_initializer=keras.initializers.GlorotNormal(seed=k),
        )
        for k in range(3)
    ]
    return {"layers": layers, "label_embedding": None, "negatives": None}


def course(schedule, epochs, layers):
    return [schedule.learning_layers(epoch, epochs, layers) for epoch in range(epochs)]


def windows(schedule, epochs, layers):
    """First epoch and end of each layer, as a schedule runs; every window is in one piece."""
    learning = course(schedule, epochs, layers)
    pairs = []
    for layer in range(layers):
        own = [epoch for epoch in range(epochs) if layer in learning[epoch]]
        assert own == list(range(own[0], own[-1] + 1))
        pairs.append((own[0], own[-1] + 1))
    return pairs
