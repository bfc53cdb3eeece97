"""A published table, as cells to train again."""

import dataclasses

from keras_ff.recipes import TrainingConfig

FORWARD_FORWARD, BACKPROPAGATION = "Forward-Forward", "backpropagation"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One value of a table, and the training that reproduces it.

    Args:
        row: string, what the value is of: an activation, a dataset, a width.
        config: the `TrainingConfig` to train by.
        published: float, the source's test accuracy in percent, or `None` where it has none.
        backpropagation: boolean. Whether the network of the configuration is trained by
            backpropagation of the cross-entropy of a softmax head. Defaults to `False`.
        published_text: string, the source's value in its own form. Defaults to `""`: the number.
    """

    row: str
    config: TrainingConfig
    published: float | None
    backpropagation: bool = False
    published_text: str = ""

    @property
    def method(self):
        """`"Forward-Forward"` or `"backpropagation"`."""
        return BACKPROPAGATION if self.backpropagation else FORWARD_FORWARD

    @property
    def family(self):
        """How the network learns: `"contrastive"`, `"class groups"` or `"backpropagation"`."""
        if self.backpropagation:
            return BACKPROPAGATION
        in_groups = self.config.goodness == "class_groups"
        return "class groups" if in_groups else "contrastive"

    @property
    def name(self):
        """What the cell is called on the command line and in its files."""
        return f"{self.row}-{self.family}".replace(" ", "_")

    def seeded(self, seed, share=1.0):
        """The cell's configuration with another seed, and a share of its epochs."""
        epochs = max(1, round(share * self.config.epochs))
        return dataclasses.replace(self.config, seed=seed, epochs=epochs)


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells that reproduce a published table.

    Args:
        name: string, what `keras-ff reproduce` calls it.
        title: string, what it shows.
        source: string, where the published values are from.
        rows: string, what a row is, such as `"activation"`.
        cells: tuple of `Cell`, whose names differ.
        remarks: string, what a reader has to know about the comparison.
    """

    name: str
    title: str
    source: str
    rows: str
    cells: tuple
    remarks: str
