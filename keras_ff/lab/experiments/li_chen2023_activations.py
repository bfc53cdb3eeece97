"""Li and Chen 2023: activations: four hidden layers of 500 units on MNIST."""

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.table import Cell, Table

# Test accuracy in percent; of the last four the source says only that they are below 10.
PUBLISHED = {
    "elu": 97.35,
    "relu": 97.08,
    "sigmoid": 10.0,
    "tanh": 10.0,
    "leaky_relu": 10.0,
    "gelu": 10.0,
}
LOST = "below 10"


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="li_chen2023_activations",
        title="Activations on MNIST",
        source="Li and Chen 2023, ELU and other activations",
        rows="activation",
        cells=tuple(
            Cell(
                activation,
                mlp_recipes.mnist(activation, units=(500,) * 4),
                published,
                published_text=LOST if published == 10.0 else "",
            )
            for activation, published in PUBLISHED.items()
        ),
        remarks=(
            "Four layers of 500 units on both sides, trained for 2000 epochs of full batches in "
            "the source. Where it says 'below 10', 10 stands here."
        ),
    )
