"""Take models that another backend saved: score them, go on training, save what became of them."""

import pathlib
import sys

import keras
import numpy as np

import keras_ff
from keras_ff.layers import FFConv2D, FFDense

NAMES = ("contrastive", "class_groups")


def data():
    generator = np.random.default_rng(0)
    return generator.random((50, 8, 8, 1), "float32"), np.arange(50) % 10


def new(name):
    """A compiled model; what it learns from is not drawn at random."""
    if name == "contrastive":
        layers = [FFDense(60), FFDense(40, normalization="batch")]
        model = keras_ff.FFModel(
            layers, 10, negatives="fixed_labels", layer_schedule="simultaneous", readout="softmax"
        )
    else:
        groups = {"goodness": "class_groups", "normalization": "class_groups"}
        layers = [FFConv2D(20, strides=2, **groups), FFDense(40, **groups)]
        model = keras_ff.FFModel(layers, 10, label_embedding=None, negatives=None)
    model.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
    return model


def go_on(model):
    """Two epochs, the same under every backend."""
    model.fit(*data(), batch_size=25, epochs=2, shuffle=False, verbose=0)


def scores(model):
    return model.predict(data()[0], verbose=0)


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    for name in NAMES:
        model = keras.models.load_model(folder / f"{name}.keras")
        found = {"before": scores(model)}
        go_on(model)
        model.save(folder / f"{name}_after.keras")
        np.savez(folder / f"{name}.npz", after=scores(model), **found)
