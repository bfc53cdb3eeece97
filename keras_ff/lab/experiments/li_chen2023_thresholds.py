"""Li and Chen 2023, section 5.2.4: thresholds, and learned ones as they suggest."""

from keras_ff.lab.experiments.networks import li_chen2023
from keras_ff.lab.experiments.table import Table

# Test accuracy in percent, where the source says it.
PUBLISHED = {0.5: 90.0, 1.0: None, 2.0: None, 5.0: None, 10.0: 97.35, "learned": None}
TEXTS = {0.5: "about 90"}


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="li_chen2023_thresholds",
        title="Thresholds on MNIST",
        source="Li and Chen 2023, section 5.2.4",
        rows="threshold",
        cells=tuple(
            li_chen2023.cell(
                str(threshold),
                published,
                {"threshold": threshold, "margin": 0.0},
                100,
                TEXTS.get(threshold, ""),
            )
            for threshold, published in PUBLISHED.items()
        ),
        remarks=f"{li_chen2023.REMARKS} A learned threshold starts at half a unit of mean activity "
        "and is trained with the layer.",
    )
