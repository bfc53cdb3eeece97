"""The tables that `keras-ff reproduce` trains, by name."""

from keras_ff.lab.experiments import (
    more_activations,
    s1_activations,
    s2_baseline,
    s3_convolutions,
    s4_activations,
    s4_widths,
)
from keras_ff.utils import registry

# Functions, since a table's configurations take reading what datasets are like.
TABLES = {
    "s1_activations": s1_activations.table,
    "s2_baseline": s2_baseline.table,
    "s3_convolutions": s3_convolutions.table,
    "s4_activations": s4_activations.table,
    "s4_widths": s4_widths.table,
    "more_activations": more_activations.table,
}


def get(name):
    """A table by name.

    Args:
        name: string, one of `TABLES`.

    Returns:
        A `keras_ff.experiments.table.Table`.

    Raises:
        ValueError: if there is none of that name.
    """
    if name not in TABLES:
        raise ValueError(
            f"There is no table {name!r}. {registry.nearest(name, TABLES)} Received: {name!r}"
        )
    return TABLES[name]()
