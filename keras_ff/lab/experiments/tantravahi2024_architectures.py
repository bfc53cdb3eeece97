"""Tantravahi et al. 2024, sections 3.4 and 4.1.2: convolutions and a hybrid on CIFAR-10."""

import functools

import keras

from keras_ff import models
from keras_ff.lab.experiments.networks import metrics, tantravahi2024
from keras_ff.lab.experiments.table import Cell, Table

# Two cores train a quarter of the width on 10,000 images.
WIDTH, IMAGES, EPOCHS, SOURCE_EPOCHS, BATCH_SIZE = 0.25, 10_000, 10, 200, 256
LOCAL = models.local_receptive_field
NETWORKS = {
    "three convolutions": (models.vgg, {"variant": "three_conv"}),
    "VGG-19": (models.vgg, {"variant": "vgg19"}),
    "local receptive fields": (LOCAL, {}),
    "local receptive fields, residual": (LOCAL, {"residual": True}),
}
HYBRID, HYBRID_EPOCHS = 12, 15


def _cells():
    for row, (make, arguments) in NETWORKS.items():
        whole = functools.partial(tantravahi2024.convolutional, make, **arguments)
        narrow = {"filters": round(64 * WIDTH)} if make is LOCAL else {"width_multiplier": WIDTH}
        yield Cell(
            row,
            tantravahi2024.config(EPOCHS, BATCH_SIZE, samples=IMAGES),
            None,
            network=functools.partial(whole, **narrow),
            as_published=True,
            source_epochs=SOURCE_EPOCHS,
            full={
                "config": tantravahi2024.config(SOURCE_EPOCHS, BATCH_SIZE),
                "network": whole,
            },
        )
    yield Cell(
        "backpropagated layers on features",
        tantravahi2024.config(HYBRID_EPOCHS, BATCH_SIZE),
        27.5,
        backpropagation=True,
        network=on_features,
        first=tantravahi2024.cell("features", HYBRID, None, HYBRID_EPOCHS),
        as_published=True,
    )


def on_features(model, sample_shape, num_classes, epochs, steps):
    """Two dense layers and a softmax on Forward-Forward layers that stay as they are."""
    del sample_shape
    features = model.to_backprop()
    features.trainable = False
    x = features.layers[-2].output
    for units in (512, 256):
        x = keras.layers.Dense(units, activation="relu")(x)
    network = keras.Model(features.input, keras.layers.Dense(num_classes, activation="softmax")(x))
    network.compile(
        tantravahi2024.sgd(0.01, 0.0003, epochs * steps),
        "sparse_categorical_crossentropy",
        metrics=metrics(),
    )
    return network


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="tantravahi2024_architectures",
        title="Convolutions and a hybrid on CIFAR-10",
        source="Tantravahi, Thota and Katti 2024, sections 3.4 and 4.1.2, and its repository",
        rows="network",
        cells=tuple(_cells()),
        remarks=(
            f"{tantravahi2024.REMARKS} {tantravahi2024.CONVOLUTIONS} Convolutions have a quarter "
            "of the source's width, 10,000 images and 10 epochs; `--budget full` has all, for "
            "which the source gives neither epochs nor accuracies. The hybrid has 15 epochs of "
            f"experiment {HYBRID} and then 15 of two dense layers by backpropagation on its "
            "features, which stay as they are. What the source calls SGD with softmax outputs is "
            "backpropagation; the table of activations has it as published."
        ),
    )
