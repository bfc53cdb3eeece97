"""Li and Chen 2023: dense layers whose mean activity is held against a threshold, on MNIST."""

import functools

import keras

import keras_ff
from keras_ff import readouts
from keras_ff.lab.experiments.networks import metrics
from keras_ff.lab.experiments.table import Cell
from keras_ff.layers import FFDense, FFResidual
from keras_ff.losses import Logistic
from keras_ff.negatives import HybridImages
from keras_ff.recipes import TrainingConfig

EPOCHS, BATCH_SIZE, VALIDATION_SHARE = 2000, 10_000, 1 / 30
# A label of the height of a standardised image's brightest pixel, 2.82, has about this share of the
# energy of its 784 pixels.
LABEL_STRENGTH = 0.01
# What its tables say besides, and what ours do.
REMARKS = (
    "As published: four layers of 500 units, ELU, layer normalisation, dropout 0.2, one wrong "
    "label as negative, mean activity held against the threshold 10 by the logistic loss, Adam at "
    "0.03, batches of 10,000 of the training images, every layer in every epoch, the last layer "
    "scores. Of the 60,000 images 2,000 are kept for validation. The source trained for 2,000 "
    "epochs."
)
OURS = (
    "Ours: all nine wrong labels as negatives where nothing else is said, the softmax over the "
    "labels' goodness as loss (`LabelSoftmax`), mean of squares, no dropout, batches of 128, all "
    "layers score."
)


def config(epochs, **changed):
    """Its data: batches of 10,000 images. 2,000 of the 60,000 are kept for validation."""
    data = {"dataset": "mnist", "batch_size": BATCH_SIZE, "validation_share": VALIDATION_SHARE}
    return TrainingConfig(epochs=epochs, **{**data, **changed})


def cell(row, published, own, epochs, published_text="", source_epochs=EPOCHS):
    """A cell of one of its tables; `own` are arguments of `network`."""
    return Cell(
        row,
        config(epochs),
        published,
        published_text=published_text,
        network=functools.partial(network, **own),
        as_published=True,
        source_epochs=source_epochs,
        full={"config": config(source_epochs)},
        validation_freq=10,
    )


def network(
    sample_shape,
    num_classes,
    epochs,
    steps,
    units=500,
    activation="elu",
    threshold=10.0,
    margin=1.0,
    negatives="random_labels",
    goodness="mean_activity",
    skips=False,
):
    """Four layers, all of which learn in every epoch; the last one scores."""
    del sample_shape, epochs, steps  # the rate is constant
    arguments = {
        "activation": activation,
        "normalization": "layer",
        "dropout": 0.2,
        "goodness": goodness,
    }
    layers = [FFDense(units, **arguments)]
    for _ in range(3):
        layers.append(
            FFResidual(keras.layers.Dense(units), **arguments)
            if skips
            else FFDense(units, **arguments)
        )
    model = keras_ff.FFModel(
        layers,
        num_classes,
        label_embedding=keras_ff.labels.Overlay(LABEL_STRENGTH),
        negatives=negatives,
        layer_schedule="simultaneous",
        readout=readouts.Goodness([-1]),
    )
    loss = Logistic(threshold=threshold, margin=margin)
    model.compile(keras.optimizers.Adam(0.03), loss, metrics=metrics())
    return model


def unsupervised(sample_shape, num_classes, epochs, steps, untrained=False):
    """Three layers of 2000 ReLU that learn from hybrid images, blurred once; then a linear head.

    Without training the layers stay as they are, and the head learns for as many epochs.
    """
    del sample_shape, epochs, steps
    layers = [
        FFDense(2000, normalization="layer", goodness="mean_activity", trainable=not untrained)
        for _ in range(3)
    ]
    model = keras_ff.FFModel(
        layers,
        num_classes,
        label_embedding=None,
        # Any mask that leaves a pixel of both images, as in the source.
        negatives=HybridImages(blurs=1, coverage=(0.002, 0.998)),
        layer_schedule="simultaneous",
        readout=readouts.Softmax([-1], optimizer=keras.optimizers.Adam(1e-3)),
    )
    loss = Logistic(threshold=0.5, margin=0.0)
    model.compile(keras.optimizers.Adam(0.03), loss, metrics=metrics())
    return model
