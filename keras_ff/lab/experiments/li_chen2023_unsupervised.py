"""Li and Chen 2023, table 4: layers that learn without labels, beside layers that do not learn."""

import functools

import keras

from keras_ff.lab.experiments.networks import li_chen2023, other_parts
from keras_ff.lab.experiments.table import Cell, Table
from keras_ff.negatives import HybridImages, TwoViews
from keras_ff.recipes import TrainingConfig

EPOCHS, SOURCE_EPOCHS, PUBLISHED = 40, 100, 78.58
OUR_EPOCHS, READOUT_EPOCHS = 30, 20


def _cells():
    for row, published, own in (
        ("hybrid images", PUBLISHED, {}),
        ("not trained", None, {"untrained": True}),
    ):
        yield Cell(
            row,
            li_chen2023.config(EPOCHS),
            published,
            network=functools.partial(li_chen2023.unsupervised, **own),
            as_published=True,
            kind="unsupervised",
            source_epochs=SOURCE_EPOCHS,
            full={"config": li_chen2023.config(SOURCE_EPOCHS)},
            validation_freq=10,
        )

    for row, make_negatives in (("six blurs", HybridImages), ("two views", _two_views)):
        for epochs, name in ((OUR_EPOCHS, row), (1, f"{row}, not trained")):
            yield Cell(
                name,
                _ours(epochs),
                PUBLISHED,
                network=functools.partial(_network, make_negatives, name != row),
                kind="unsupervised",
                source_epochs=SOURCE_EPOCHS,
            )


def _ours(epochs):
    return TrainingConfig.for_dataset(
        "mnist",
        units=(2000,) * 3,
        negatives="hybrid_images",
        negatives_count=1,
        readout="softmax",
        readout_epochs=READOUT_EPOCHS,
        epochs=epochs,
        learning_rate=1e-3,
        shift=2,
        dtype_policy="float32",
    )


def _network(make_negatives, untrained, *made_for):
    """Our network with other negatives, whose layers may stay as they were made."""
    model = other_parts(_ours(OUR_EPOCHS), *made_for, negatives=make_negatives())
    for layer in model.ff_layers:
        layer.trainable = not untrained
    return model


def _two_views():
    return TwoViews(keras.layers.RandomTranslation(0.1, 0.1, fill_mode="constant"))


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="li_chen2023_unsupervised",
        title="Learning without labels on MNIST",
        source="Li and Chen 2023, table 4",
        rows="layers",
        cells=tuple(_cells()),
        remarks=(
            "As published: three layers of 2000 ReLU, mean activity held against a threshold of "
            "0.5, negatives mixed from two images by a mask that is blurred once, Adam at 0.03, "
            "batches of 10,000, and a linear head on the last layer, which here learns beside the "
            "layers. Of the 60,000 images 2,000 are kept for validation. In the second row the "
            "layers stay as they were made and the head alone learns. Ours: as many layers of the "
            "same width, mean of squares, positives against negatives (`LabelSoftmax`), images "
            "shifted by up to two pixels, and a linear head on all layers but the first, which "
            f"learns for {READOUT_EPOCHS} epochs after them: once with negatives mixed by masks "
            "that are blurred six times, once with two views of one image against views of two."
        ),
    )
