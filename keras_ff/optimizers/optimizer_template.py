"""OptimizerTemplate: an optimizer of which every layer gets a copy."""

import copy

import keras

from keras_ff.optimizers.muon import Muon

KNOWN = {"muon": Muon}


class OptimizerTemplate:
    """A plain optimizer as given by a user, of which every layer gets a copy.

    Args:
        optimizer: a Keras optimizer, by name, object or configuration, or `None`, of which there
            are no copies. By the name `"muon"` it is `keras_ff.optimizers.Muon`.
    """

    def __init__(self, optimizer):
        optimizer = _get(optimizer)
        wrappers = (keras.optimizers.MultiOptimizer, keras.optimizers.LossScaleOptimizer)
        if isinstance(optimizer, wrappers):
            raise ValueError(
                "Every FF layer gets a copy of the optimizer; pass a plain one, such as "
                f"keras.optimizers.Adam(). Received: {type(optimizer).__name__}"
            )
        self.optimizer = optimizer

    def __bool__(self):
        return self.optimizer is not None

    def copy(self, name=None):
        """A new optimizer without state, or `None`."""
        if self.optimizer is None:
            return None
        config = self.optimizer.get_config()
        rate = self.optimizer._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            # The object itself: a schedule of a user's own need not be registered to train.
            config["learning_rate"] = rate
        return type(self.optimizer).from_config({**config, "name": name or config["name"]})

    def get_config(self):
        """Configuration of the optimizer, or `None`."""
        return None if self.optimizer is None else serialized(self.optimizer)


def serialized(optimizer):
    """An optimizer's configuration, which every backend can read.

    Under PyTorch Keras makes subclasses of its optimizers, and names these.
    """
    config = keras.optimizers.serialize(optimizer)
    if config["module"].startswith("keras.src.backend."):
        config |= {"module": "keras.optimizers", "registered_name": None}
    return config


def _get(identifier):
    """An optimizer by name, object or configuration; `None` stays."""
    if isinstance(identifier, str) and identifier.lower() in KNOWN:
        return KNOWN[identifier.lower()]()
    if isinstance(identifier, dict):
        identifier = copy.deepcopy(identifier)  # which Keras would change
    return keras.optimizers.get(identifier)
