"""A published table, as cells to train again."""

import dataclasses

from keras_ff.recipes import TrainingConfig

FORWARD_FORWARD, BACKPROPAGATION = "Forward-Forward", "backpropagation"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One value of a table, and the training that reproduces it.

    `row` is what the value is of, `published` the source's test accuracy in percent or `None`, and
    `published_text` the same in the source's own form. With `backpropagation` the network of the
    configuration is trained by the cross-entropy of a softmax head.
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
    """Cells that reproduce a published table, all of different names.

    `name` is what `keras-ff reproduce` calls it, `rows` what a row is, such as `"activation"`.
    """

    name: str
    title: str
    source: str
    rows: str
    cells: tuple
    remarks: str
