"""What can be searched, and where.

Thresholds and margins are counted in units of the goodness (that of activities which are all
one), and alpha in one over these: a range that fits means of squares then fits sums of squares and
scaled goodness too, whatever the width.
"""

import dataclasses

from keras_ff.utils import registry


@dataclasses.dataclass(frozen=True)
class Between:
    """A number between two.

    Args:
        lowest, highest: numbers. Integers give integers.
        step: what two neighbouring values have between them, or on a logarithmic scale the factor;
            `None` for any value. Needed for grids.
        logarithmic: boolean. Whether factors count, rather than differences. Defaults to `False`.

    Raises:
        ValueError: if `lowest` is not below `highest`, or not above 0 on a logarithmic scale.
    """

    lowest: float
    highest: float
    step: float | None = None
    logarithmic: bool = False

    def __post_init__(self):
        if not self.lowest < self.highest or (self.logarithmic and self.lowest <= 0):
            raise ValueError(
                "A range goes from a lower to a higher number, on a logarithmic scale both above "
                f"0. Received: {self!r}"
            )

    def drawn(self, hp, name, usual=None):
        """The value of this trial, from KerasTuner's `HyperParameters`.

        Args:
            hp: `keras_tuner.HyperParameters`.
            name: string.
            usual: number where the search begins, or `None`: the lowest.
        """
        sampling = "log" if self.logarithmic else "linear"
        settings = {"step": self.step, "sampling": sampling}
        if usual is not None and self.step is None:
            settings["default"] = self.nearest(usual)
        if isinstance(self.lowest, int):
            return hp.Int(name, self.lowest, self.highest, **settings)
        # From some tuners numbers come as numpy's.
        return float(hp.Float(name, self.lowest, self.highest, **settings))

    def nearest(self, value):
        """The value of the range that is nearest to another."""
        return min(max(value, self.lowest), self.highest)


@dataclasses.dataclass(frozen=True)
class Among:
    """One of some values.

    Args:
        values: tuple of numbers or of names.
    """

    values: tuple

    def __post_init__(self):
        if not self.values:
            raise ValueError("There must be something to choose from. Received: ()")

    def drawn(self, hp, name, usual=None):
        """The value of this trial; the arguments are those of `Between.drawn`."""
        default = usual if usual in self.values else self.values[0]
        return hp.Choice(name, list(self.values), default=default)


# By name: the range that is searched by default. `thresholds`, `margins` and
# `learning_rates` are one per layer; `threshold_rule` is where thresholds come from, see
# `keras_ff.losses.Logistic` and `keras_ff.tuning.calibrated_thresholds`.
SPACE = {
    "threshold": Between(0.05, 4.0, logarithmic=True),
    "thresholds": Between(0.05, 4.0, logarithmic=True),
    "threshold_rule": Among(("auto", "learned", "calibrated")),
    "margin": Between(0.0, 1.0),
    "margins": Between(0.0, 1.0),
    "goodness_scale": Between(1.0, 256.0, logarithmic=True),
    "alpha": Between(2.0, 256.0, logarithmic=True),
    "loss": Among(("symba", "label_softmax", "logistic")),
    "goodness": Among(("mean_of_squares", "sum_of_squares")),
    "activation": Among(("relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid")),
    "normalization": Among(("length", "centered_length", "batch", "layer")),
    "peer_normalization": Between(0.001, 0.3, logarithmic=True),
    "label_embedding": Among(("append", "overlay")),
    "label_strength": Between(0.01, 1.0, logarithmic=True),
    "negatives": Among(("random_labels", "all_labels", "fixed_labels")),
    "negatives_count": Between(1, 9),
    "learning_rate": Between(1e-4, 1e-2, logarithmic=True),
    "learning_rates": Between(1e-4, 1e-2, logarithmic=True),
    "dropout": Between(0.0, 0.5),
    "width": Among((100, 200, 500, 1000)),
    "depth": Between(1, 5),
    "batch_size": Among((64, 128, 256)),
    "layer_schedule": Among(("simultaneous", "greedy")),
}
# Names of `SPACE` that stand for another one, with a value for each layer.
EACH_LAYER = {"thresholds": "threshold", "margins": "margin", "learning_rates": "learning_rate"}
# What cannot be searched together.
ALTERNATIVES = (
    *EACH_LAYER.items(),
    ("threshold_rule", "threshold"),
    ("threshold_rule", "thresholds"),
)


def chosen(search):
    """What is searched, by name.

    Args:
        search: list of names of `SPACE`, or a dictionary from such names to what is searched: a
            `Between` or an `Among`, a pair of numbers (a range, on the scale of `SPACE`), a list
            (a choice), or `None` for the range of `SPACE`.

    Returns:
        A dictionary from name to `Between` or `Among`.

    Raises:
        ValueError: if a name is unknown or a range is none, or nothing is searched.
    """
    if not isinstance(search, dict):
        search = dict.fromkeys([search] if isinstance(search, str) else search)
    if not search:
        raise ValueError(f"Nothing is searched. {registry.nearest('', SPACE)} Received: {search!r}")
    for name in search:
        if name not in SPACE:
            raise ValueError(
                f"There is no {name!r} to search. {registry.nearest(name, SPACE)} "
                f"Received: search={list(search)}"
            )
    for one, other in ALTERNATIVES:
        if one in search and other in search:
            raise ValueError(
                f"Search {one!r} or {other!r}, which both decide the same. "
                f"Received: search={list(search)}"
            )
    return {name: _range(name, wanted) for name, wanted in search.items()}


def _range(name, wanted):
    usual = SPACE[name]
    if wanted is None:
        return usual
    if isinstance(wanted, (Between, Among)):
        return wanted
    if isinstance(wanted, list):
        return Among(tuple(wanted))
    if isinstance(wanted, tuple) and len(wanted) == 2 and isinstance(usual, Between):
        logarithmic = usual.logarithmic and min(wanted) > 0
        return Between(*wanted, logarithmic=logarithmic)
    raise ValueError(
        f"{name!r} is searched in a pair of numbers, a list of values, a Between or an Among. "
        f"Received: {wanted!r}"
    )
