"""Activations without published values: with the other tables, each on each dataset."""

import functools

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.table import Cell, Table

ACTIVATIONS = {
    "mnist": ("relu_full_grad", "sign", "step", "quantized_relu"),
    "fashion_mnist": ("relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid", "relu_full_grad"),
    "cifar10": ("elu", "gelu"),
}
WIDTHS = {"mnist": 500, "fashion_mnist": 500, "cifar10": 1000}


def _config(dataset, activation):
    if activation != "relu_full_grad":
        recipe = functools.partial(mlp_recipes.class_groups, dataset)
    elif dataset == "mnist":
        recipe = mlp_recipes.mnist
    else:
        recipe = functools.partial(mlp_recipes.contrastive, dataset)
    return recipe(activation, units=(WIDTHS[dataset],) * 3)


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="more_activations",
        title="More activations",
        source="Ours alone",
        rows="network",
        cells=tuple(
            Cell(f"{dataset} {activation}", _config(dataset, activation), published=None)
            for dataset, activations in ACTIVATIONS.items()
            for activation in activations
        ),
        remarks=(
            "With the tables above, every activation on MNIST, Fashion-MNIST and CIFAR-10: class "
            "groups, three layers of 500 units, on CIFAR-10 of 1000. `relu_full_grad` is "
            "contrastive with peer normalisation. Images are varied as those of the table of "
            "perceptrons on five datasets."
        ),
    )
