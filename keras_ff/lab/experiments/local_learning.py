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
    "free units, similarity matching, weight 40": {"free_units": 0.2, "similarity_matching": 40.0},
    "best layers": {"readout": "best_layers"},
    "best layers, class tree of 5": {"readout": "best_layers", "coarse_classes": 5},
    "best layers, class tree of 2 and 5": {"readout": "best_layers", "coarse_classes": (2, 5)},
    "joint scores": {"readout": "joint"},
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
    "supervised contrast, whitening": {**CONTRAST, "whitening": 2},
    "supervised contrast, free first layer": {**CONTRAST, "free_units": ("all", 0, 0, 0, 0)},
    "supervised contrast, class tree of 5": {**CONTRAST, "coarse_classes": 5},
    "supervised contrast, class tree of 2 and 5": {**CONTRAST, "coarse_classes": (2, 5)},
    "supervised contrast, linear head, six views": {**CONTRAST, "readout": "softmax_of_averages"},
    "supervised contrast, joint scores, six views": {**CONTRAST, "readout": "joint_of_averages"},
}


def _perceptron(**changed):
    return mlp_recipes.class_groups(
        "cifar10", **{"epochs": EPOCHS, "validation_share": 0.1, "weight_averaging": 0.0, **changed}
    )


def _convolutions(**changed):
    off = {"supervised_contrast": None, "supervised_contrast_regions": None}
    # On processors without products in bfloat16 these take convolutions six times as long.
    settings = {"units": CHANNELS, "samples": IMAGES, "epochs": EPOCHS, "dtype_policy": "float32"}
    settings |= {"weight_averaging": 0.0}
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
            "`losses.SimilarityMatching`. Free units belong to no class, a fifth of each dense "
            "layer's. A class tree gives early layers so many coarse classes. Scores are by all "
            "dense layers' goodness unless the row says by which; of convolutions in six views, "
            "those of each image moved and mirrored, by a linear head beside the layers, or by it "
            "and goodness together."
        ),
    )
