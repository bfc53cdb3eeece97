"""Li and Chen 2023, table 1: where negatives come from, and the loss."""

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.networks import li_chen2023
from keras_ff.lab.experiments.table import Cell, Table

# Test accuracy in percent, and what the source's network has.
PUBLISHED = {
    "random labels": (97.35, {"margin": 0.0}),
    "random labels, margin 1": (97.38, {"margin": 1.0}),
    "fixed labels": (95.76, {"margin": 0.0, "negatives": "fixed_labels"}),
    "random labels, squares": (
        95.28,
        {"margin": 0.0, "goodness": "mean_of_squares", "threshold": 2.0},
    ),
    "all labels": (None, {"margin": 0.0, "negatives": "all_labels"}),
}
# The same with our loss, which has neither threshold nor margin.
OURS = {
    "random labels": {"negatives_count": 1},
    "fixed labels": {"negatives": "fixed_labels", "negatives_count": 1},
    "all labels": {},
}


def _cells():
    for row, (published, own) in PUBLISHED.items():
        text = "too slow to run" if published is None else ""
        yield li_chen2023.cell(row, published, own, 100, text)
        if row in OURS:
            config = mlp_recipes.mnist("elu", units=(500,) * 4, **OURS[row])
            yield Cell(row, config, published, published_text=text)


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="li_chen2023_negatives",
        title="Negatives and losses on MNIST",
        source="Li and Chen 2023, table 1",
        rows="negatives",
        cells=tuple(_cells()),
        remarks=f"{li_chen2023.REMARKS} {li_chen2023.OURS}",
    )
