"""Li and Chen 2023: widths: four hidden layers of 100 to 700 units on MNIST."""

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.table import Cell, Table

# Test accuracy in percent; the source says only that 510 to 700 units are below 10.
PUBLISHED = {100: 95.35, 200: 96.11, 300: 96.50, 400: 96.59, 500: 96.90, 600: 10.0, 700: 10.0}
LOST = "below 10"


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="li_chen2023_widths",
        title="Width on MNIST",
        source="Li and Chen 2023, hidden 100 to 700",
        rows="units",
        cells=tuple(
            Cell(
                str(width),
                mlp_recipes.mnist("elu", units=(width,) * 4, dropout=0.0),
                published,
                published_text=LOST if published == 10.0 else "",
            )
            for width, published in PUBLISHED.items()
        ),
        remarks=(
            "Four layers of ELU units on both sides, trained for 2000 epochs of full batches in "
            "the source. For 510 to 700 units it says 'below 10', which stands here as 10."
        ),
    )
