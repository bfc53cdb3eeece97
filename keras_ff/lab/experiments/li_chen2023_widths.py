"""Li and Chen 2023: widths: four hidden layers of 100 to 700 units on MNIST."""

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.networks import li_chen2023
from keras_ff.lab.experiments.table import Cell, Table

LOST = "below 10"
# Test accuracy in percent after 1,000 epochs; the source says only that wider ones are below 10.
PUBLISHED = {
    **{100: 95.35, 200: 96.11, 300: 96.50, 400: 96.59, 500: 96.90},
    **dict.fromkeys((510, 525, 550, 600, 700), 10.0),
}
SOURCE_EPOCHS = 1000


def _cells():
    for width, published in PUBLISHED.items():
        text = LOST if published == 10.0 else ""
        own = {"units": width}
        yield li_chen2023.cell(str(width), published, own, 50, text, SOURCE_EPOCHS)
        yield Cell(
            str(width),
            mlp_recipes.mnist("elu", units=(width,) * 4, dropout=0.0),
            published,
            published_text=text,
            source_epochs=SOURCE_EPOCHS,
        )


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="li_chen2023_widths",
        title="Width on MNIST",
        source="Li and Chen 2023, table 2",
        rows="units",
        cells=tuple(_cells()),
        remarks=f"{li_chen2023.REMARKS} For this table it trained for 1,000 epochs. For 510 to 700 "
        f"units it says 'below 10', which stands here as 10. {li_chen2023.OURS}",
    )
