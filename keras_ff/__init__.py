"""keras_ff: Forward-Forward networks for Keras 3.

Networks that learn layer by layer, each with a local objective, without backpropagation.
"""

import importlib

from keras_ff import (
    activations,
    goodness,
    labels,
    layer_schedules,
    layers,
    losses,
    models,
    negatives,
    optimizers,
    readouts,
)
from keras_ff.models import FFModel
from keras_ff.optimizers import learning_rates
from keras_ff.version import __version__

# These need more than Keras and numpy, and are imported when they are first asked for.
_LAZY = (
    "callbacks",
    "cli",
    "datasets",
    "distribution",
    "measurements",
    "recipes",
    "report",
    "training",
    "tuning",
    "visualization",
    "zoo",
)

__all__ = [
    "FFModel",
    "__version__",
    "activations",
    "goodness",
    "labels",
    "layer_schedules",
    "layers",
    "learning_rates",
    "losses",
    "models",
    "negatives",
    "optimizers",
    "readouts",
    *_LAZY,
]


def __getattr__(name):
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
