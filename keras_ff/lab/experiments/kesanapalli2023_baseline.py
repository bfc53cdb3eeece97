"""Kesanapalli et al. 2023: multi-layer perceptrons on five datasets, and backpropagation."""

import dataclasses

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.table import Cell, Table

# Test accuracy in percent, Forward-Forward and backpropagation.
PUBLISHED = {
    "mnist": (97.14, 98.04),
    "fashion_mnist": (85.95, 89.43),
    "svhn_cropped_10k": (76.28, 80.52),
    "cifar10": (49.24, 53.88),
    "cifar100": (13.63, 23.75),
}


# Where these do better on validation data than the recipe's own 60 epochs.
CHANGED = {
    "fashion_mnist": {"epochs": 100, "dropout": 0.2, "validation_share": 0.1},
    "cifar10": {"epochs": 200, "validation_share": 0.1},
}


def _contrastive(dataset):
    if dataset == "mnist":
        # All wrong labels, as in the tables of Li and Chen.
        return mlp_recipes.mnist(units=(1000,) * 3, epochs=40, weight_averaging=0.999)
    return mlp_recipes.contrastive(dataset)


def _cells():
    for dataset, (forward_forward, backpropagation) in PUBLISHED.items():
        config = mlp_recipes.class_groups(dataset, **CHANGED.get(dataset, {}))
        yield Cell(dataset, config, forward_forward)
        yield Cell(dataset, _contrastive(dataset), forward_forward)
        network = dataclasses.replace(config, epochs=config.epochs // 2, weight_averaging=0.0)
        yield Cell(dataset, network, backpropagation, backpropagation=True)


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="kesanapalli2023_baseline",
        title="Multi-layer perceptrons on five datasets",
        source="Kesanapalli, Rangarajan, Jain and Jain 2023, baseline",
        rows="dataset",
        cells=tuple(_cells()),
        remarks=(
            "The source's Forward-Forward networks have four layers of 2000 units, its networks "
            "for backpropagation 250 and 110; ours have three of 1000 on both sides, as in the "
            "recipes of `mlp_recipes` beside this. Backpropagation has half of the epochs and no "
            "averages of weights. Images are shifted at random by up to 2 pixels, those of "
            "Fashion-MNIST by 1; those of MNIST are turned by up to 15°, those of Fashion-MNIST "
            "and CIFAR mirrored. The contrastive network on MNIST has shifts by 1 pixel alone. "
            f"{mlp_recipes.STAND_IN} Of "
            "the networks of class groups the test sets of Fashion-MNIST and CIFAR-10 had been "
            "read before, when fewer epochs gave 90.52 % and 65.77 %, and on CIFAR-10 when a "
            "dropout of 0.2 gave 64.82 %; what is shown has the best validation accuracy, though "
            "measured on a smaller share of the training images than before."
        ),
    )
