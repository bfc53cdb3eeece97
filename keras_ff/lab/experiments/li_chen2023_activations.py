"""Li and Chen 2023: activations: four hidden layers of 500 units on MNIST."""

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.networks import li_chen2023
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


def _cells():
    for activation, published in PUBLISHED.items():
        text = LOST if published == 10.0 else ""
        yield li_chen2023.cell(activation, published, {"activation": activation}, 100, text)
        config = mlp_recipes.mnist(activation, units=(500,) * 4)
        yield Cell(
            activation,
            config,
            published,
            published_text=text,
            source_epochs=li_chen2023.EPOCHS,
        )


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="li_chen2023_activations",
        title="Activations on MNIST",
        source="Li and Chen 2023, table 3",
        rows="activation",
        cells=tuple(_cells()),
        remarks=f"{li_chen2023.REMARKS} Where it says 'below 10', 10 stands here. "
        f"{li_chen2023.OURS}",
    )
