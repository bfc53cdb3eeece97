"""A published table, as cells to train again."""

import collections.abc
import dataclasses

from keras_ff.recipes import TrainingConfig

FORWARD_FORWARD, BACKPROPAGATION = "Forward-Forward", "backpropagation"
OURS, AS_PUBLISHED = "ours", "as published"


@dataclasses.dataclass(frozen=True)
class Cell:
    """One value of a table, and the training that reproduces it.

    Args:
        row: string, what the value is of.
        config: `TrainingConfig`. Where a `network` is given it says of data, epochs and seed alone.
        published: float, the source's test accuracy in percent, or `None`.
        backpropagation: boolean. Whether the network of the configuration is trained by the
            cross-entropy of a softmax head. Defaults to `False`.
        published_text: string, what the source says in its own form. Defaults to `""`: the number.
        source_values: dictionary, what else the source says: texts by `"training"`, `"validation"`
            and `"losses"`. Defaults to none.
        network: another network than the configuration's, a function of the sample's shape, the
            number of classes, that of epochs and that of batches per epoch, which returns it
            compiled: an `FFModel`, or a plain Keras model for backpropagation. Defaults to `None`.
        first: `Cell`, what is trained before, whose model `network` is then given as well, in front
            of the rest. Defaults to `None`.
        as_published: boolean. Whether network and training are the source's. Defaults to `False`.
        source_epochs: integer, epochs that the source trained for, or `None`.
        full: dictionary, the arguments that differ under `--budget full`. Defaults to none.
        kind: string, how a network of another family learns. Defaults to `""`.
        comparable: boolean. Whether the source's value is of the same data. Defaults to `True`.
        validation_freq: integer, epochs from one validation, and one checkpoint, to the next.
            Defaults to `1`.
        measures_layers: boolean. Whether each layer is measured by itself. Defaults to `False`.
    """

    row: str
    config: TrainingConfig
    published: float | None
    backpropagation: bool = False
    published_text: str = ""
    source_values: dict = dataclasses.field(default_factory=dict)
    network: collections.abc.Callable | None = None
    first: "Cell | None" = None
    as_published: bool = False
    source_epochs: int | None = None
    full: dict = dataclasses.field(default_factory=dict)
    kind: str = ""
    comparable: bool = True
    validation_freq: int = 1
    measures_layers: bool = False

    @property
    def method(self):
        """`"Forward-Forward"` or `"backpropagation"`."""
        return BACKPROPAGATION if self.backpropagation else FORWARD_FORWARD

    @property
    def family(self):
        """How the network learns: `"contrastive"`, `"class groups"`, `"backpropagation"`, …"""
        if self.kind:
            return self.kind
        if self.backpropagation:
            return BACKPROPAGATION
        in_groups = self.config.goodness == "class_groups"
        return "class groups" if in_groups else "contrastive"

    @property
    def recipe(self):
        """Whose recipe it is: `"as published"` or `"ours"`."""
        return AS_PUBLISHED if self.as_published else OURS

    @property
    def name(self):
        """What the cell is called on the command line, in lists by commas, and in its files."""
        words = [self.row, self.family]
        if self.as_published:
            words.append(AS_PUBLISHED)
        return "-".join(words).replace(",", "").replace(" ", "_")

    def within(self, budget):
        """The cell as a budget trains it: with all that the source had, or a tenth of the epochs.

        Args:
            budget: `"full"`, `"quick"` or another, which leaves the cell as it is.
        """
        if budget == "full":
            return dataclasses.replace(self, **self.full)
        if budget == "quick":
            epochs = max(1, round(0.1 * self.config.epochs))
            return dataclasses.replace(
                self, config=dataclasses.replace(self.config, epochs=epochs), validation_freq=1
            )
        return self

    def seeded(self, seed):
        """The cell's configuration with another seed."""
        return dataclasses.replace(self.config, seed=seed)


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
