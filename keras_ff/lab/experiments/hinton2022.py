"""Hinton 2022: recurrent, locally connected and parallel layers, for which others wish."""

import keras

import keras_ff
from keras_ff import models, readouts
from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.networks import metrics
from keras_ff.lab.experiments.table import Cell, Table
from keras_ff.layers import FFLocallyConnected2D
from keras_ff.losses import LabelSoftmax
from keras_ff.negatives import RandomLabels
from keras_ff.optimizers.learning_rates import ConstantThenLinear
from keras_ff.recipes import TrainingConfig

RECURRENT, LOCAL = 98.69, 98.84
SOURCE_EPOCHS = 60
EPOCHS, NEGATIVES = 30, 3


def recurrent(sample_shape, num_classes, epochs, steps):
    """Two layers of 500 with inputs from above and below."""
    model = models.recurrent((500, 500), num_classes, negatives=RandomLabels(count=NEGATIVES))
    return _compiled(model, sample_shape, 1e-3, epochs * steps)


def local_receptive_fields(sample_shape, num_classes, epochs, steps):
    """Three layers that see parts of the image, every place by weights of its own."""
    layers = [
        FFLocallyConnected2D(16, 7, strides=3, padding="valid"),
        FFLocallyConnected2D(32, 3),
        FFLocallyConnected2D(64, 3),
    ]
    model = keras_ff.FFModel(
        layers,
        num_classes,
        label_embedding="label_map",
        negatives=RandomLabels(count=NEGATIVES),
        layer_schedule="simultaneous",
        readout=readouts.Goodness("validation"),
    )
    return _compiled(model, sample_shape, 2e-3, epochs * steps)


def _compiled(model, sample_shape, learning_rate, steps):
    rate = ConstantThenLinear(learning_rate, steps)
    model.compile(keras.optimizers.Adam(rate), LabelSoftmax(alpha=32.0), metrics=metrics())
    model.build((None, *sample_shape))
    return model


def _cells():
    config = TrainingConfig(dataset="mnist", epochs=EPOCHS, batch_size=128, shift=1)
    own = {"source_epochs": SOURCE_EPOCHS}
    yield Cell("recurrent", config, RECURRENT, network=recurrent, **own)
    yield Cell("local receptive fields", config, LOCAL, network=local_receptive_fields, **own)
    for row, schedule in (("layers at once", "simultaneous"), ("in parallel", "pipelined")):
        yield Cell(row, mlp_recipes.mnist(layer_schedule=schedule), None)


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="hinton2022",
        title="Recurrent, locally connected and parallel layers on MNIST",
        source="Hinton 2022, sections 3.2 and 3.4, for which later sources wish",
        rows="network",
        cells=tuple(_cells()),
        remarks=(
            "The source has recurrent networks of two or three layers of 2000, and local receptive "
            "fields with peer normalisation on still images. Ours have three wrong labels as "
            "negatives, nine in the last two rows, the softmax over the labels' goodness as loss, "
            "and images shifted by up to a pixel; the recurrent one has two layers of 500, eight "
            "iterations, and scores by the third to the fifth. Locally connected layers have a "
            "label channel that is learned. Layers in parallel are each one batch behind the layer "
            "before, so that none waits for another: they come to the same weights as layers that "
            "learn at once."
        ),
    )
