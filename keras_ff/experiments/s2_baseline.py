"""S2's baseline: multi-layer perceptrons on five datasets, Forward-Forward and backpropagation."""

from keras_ff.experiments import mlp_recipes
from keras_ff.experiments.table import Cell, Table

# Test accuracy in percent, Forward-Forward and backpropagation.
PUBLISHED = {
    "mnist": (97.14, 98.04),
    "fashion_mnist": (85.95, 89.43),
    "svhn_cropped_10k": (76.28, 80.52),
    "cifar10": (49.24, 53.88),
    "cifar100": (13.63, 23.75),
}


def _cells():
    for dataset, (forward_forward, backpropagation) in PUBLISHED.items():
        config = mlp_recipes.best(dataset)
        yield Cell(dataset, config, forward_forward)
        network = mlp_recipes.best(dataset, epochs=config.epochs // 2, weight_averaging=0.0)
        yield Cell(dataset, network, backpropagation, backpropagation=True)


def table():
    """The table, a `keras_ff.experiments.table.Table`."""
    return Table(
        name="s2_baseline",
        title="Multi-layer perceptrons on five datasets",
        source="S2: Kesanapalli, Rangarajan, Jain and Jain, baseline",
        rows="dataset",
        cells=tuple(_cells()),
        remarks=(
            "The source's Forward-Forward networks have four layers of 2000 units, its networks "
            "for backpropagation 250 and 110. Ours are the same on both sides, as in the recipes "
            "of `keras_ff.experiments.mlp_recipes`; backpropagation has half of the epochs and no "
            "averages of weights. Images are shifted at random by up to 2 pixels, MNIST and "
            "Fashion-MNIST by 1, and mirrored, but for MNIST and SVHN. `svhn_cropped_10k` is a "
            "stand-in for SVHN with a tenth of its training images."
        ),
    )
