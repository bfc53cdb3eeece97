"""Li and Chen 2023, table 4: layers that learn without labels, beside layers that do not learn."""

import functools

from keras_ff.lab.experiments.networks import li_chen2023
from keras_ff.lab.experiments.table import Cell, Table

EPOCHS, SOURCE_EPOCHS, PUBLISHED = 40, 100, 78.58


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
            "layers stay as they were made and the head alone learns."
        ),
    )
