"""Dooms 2023: convolutional networks on five datasets, Forward-Forward and backpropagation."""

from keras_ff.lab.experiments import convolutional_recipes, mlp_recipes
from keras_ff.lab.experiments.table import Cell, Table

# Test accuracy in percent after at most 500 epochs, and by backpropagation after 100.
PUBLISHED = {
    "mnist": (99.1, 99.1),
    "fashion_mnist": (91.1, 93.6),
    "svhn_cropped_10k": (94.4, 94.1),
    "cifar10": (84.3, 88.9),
    "cifar100": (35.26, None),
}

# Adam's default in Keras, a tenth of what the class groups have; not searched.
BACKPROPAGATION_RATE = 1e-3


def _cells():
    for dataset, (forward_forward, backpropagation) in PUBLISHED.items():
        config = convolutional_recipes.class_groups(dataset)
        yield Cell(dataset, config, forward_forward)
        if backpropagation is not None:
            network = convolutional_recipes.class_groups(
                dataset,
                epochs=config.epochs // 2,
                learning_rate=BACKPROPAGATION_RATE,
                weight_averaging=0.0,
                supervised_contrast=None,
                supervised_contrast_regions=None,
            )
            yield Cell(dataset, network, backpropagation, backpropagation=True)


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="dooms2023_convolutions",
        title="Convolutional networks on five datasets",
        source="Dooms 2023, slides on The Trifecta, 500 epochs; CIFAR-100 from The Trifecta",
        rows="dataset",
        cells=tuple(_cells()),
        remarks=(
            "The source's networks are contrastive, with six or twelve convolutions that learn in "
            "pairs; ours are class groups, every layer by itself, with five convolutions, or with "
            "six on Fashion-MNIST and CIFAR, where each layer also draws the samples of a class "
            "together (`keras_ff.losses.SupCon`). Backpropagation has half of the epochs and no "
            "averages of weights. Images are shifted at random, those of MNIST also turned, those "
            "of Fashion-MNIST and CIFAR mirrored, those of CIFAR-100 also erased in part. "
            "Fashion-MNIST's test set had been read once before, by an earlier recipe. "
            f"{mlp_recipes.STAND_IN}"
        ),
    )
