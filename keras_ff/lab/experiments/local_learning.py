"""Parts of local learning, each on and off, in ten epochs on CIFAR-10."""

from keras_ff.lab.experiments import convolutional_recipes, mlp_recipes
from keras_ff.lab.experiments.table import Cell, Table

EPOCHS, IMAGES, CHANNELS = 10, 20_000, (40, 80, 80, 160, 160)
# What is added to each network, by row.
PERCEPTRONS = {
    "as it is": {},
    "similarity matching, weight 10": {"similarity_matching": 10.0},
    "similarity matching, weight 40": {"similarity_matching": 40.0},
    "supervised contrast": {"supervised_contrast": 1.0},
    "smoothed labels": {"label_smoothing": 0.1},
    "alternating flips": {"flip": "alternating"},
}
CONTRAST = {"supervised_contrast": 1.0, "supervised_contrast_regions": 4}
CONVOLUTIONS = {
    "as it is": {},
    "similarity matching, weight 40": {"similarity_matching": 40.0},
    "supervised contrast": CONTRAST,
    "supervised contrast, similarity matching, weight 40": {
        **CONTRAST,
        "similarity_matching": 40.0,
    },
    "supervised contrast, smoothed labels": {**CONTRAST, "label_smoothing": 0.1},
    "supervised contrast, alternating flips": {**CONTRAST, "flip": "alternating"},
    "supervised contrast, Muon": {**CONTRAST, "optimizer": "muon"},
}


def _perceptron(**changed):
    return mlp_recipes.class_groups(
        "cifar10", **{"epochs": EPOCHS, "validation_share": 0.1, "weight_averaging": 0.0, **changed}
    )


def _convolutions(**changed):
    off = {"supervised_contrast": None, "supervised_contrast_regions": None}
    settings = {"units": CHANNELS, "samples": IMAGES, "epochs": EPOCHS, "weight_averaging": 0.0}
    return convolutional_recipes.class_groups("cifar10", **{**off, **settings, **changed})


def _cells():
    for network, make, rows in (
        ("perceptron", _perceptron, PERCEPTRONS),
        ("convolutions", _convolutions, CONVOLUTIONS),
    ):
        for row, changed in rows.items():
            yield Cell(f"{network}, {row}", make(**changed), None)


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="local_learning",
        title="Parts of local learning on CIFAR-10",
        source="Ours alone",
        rows="what is added",
        cells=tuple(_cells()),
        remarks=(
            "Class groups for ten epochs: three dense layers of 1000 units of `t_distribution`, "
            f"and five convolutions on {IMAGES:,} images, scored by the layers that are best on "
            "validation data. So short a training says what learns faster, not what ends higher. "
            "Weights are not averaged. Supervised contrast is `losses.SupCon`, similarity matching "
            "`losses.SimilarityMatching`."
        ),
    )
