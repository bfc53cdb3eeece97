"""Sun et al. 2025: a residual network of class groups on CIFAR-10."""

from keras_ff.lab.experiments import convolutional_recipes
from keras_ff.lab.experiments.table import Cell, Table

PUBLISHED, SOURCE_EPOCHS = 86.22, 150
# What five hours on two cores take.
EPOCHS = 60


def _config(epochs):
    return convolutional_recipes.class_groups(
        "cifar10", architecture="resnet", units=(20,), epochs=epochs, dtype_policy="float32"
    )


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    cell = Cell(
        "ResNet-17",
        _config(EPOCHS),
        PUBLISHED,
        source_epochs=SOURCE_EPOCHS,
        full={"config": _config(SOURCE_EPOCHS)},
    )
    return Table(
        name="sun2025_resnet",
        title="A residual network on CIFAR-10",
        source="Sun et al. 2025 (DeeperForward)",
        rows="network",
        cells=(cell,),
        remarks=(
            "The source has seventeen layers of 1.2 million parameters, 86.68 %, and wider ones, "
            "of which the value is, and varies no images. Ours have the width of 1.2 million "
            "parameters, images that vary, a supervised contrast in every layer, and no dropout."
        ),
    )
