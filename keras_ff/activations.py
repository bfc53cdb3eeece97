"""Activations by name: those of Keras, and those registered by keras_ff."""

import keras

from keras_ff import parts

KNOWN = {}


def get(identifier):
    """An activation by name, callable or configuration.

    Raises:
        ValueError: if the name is unknown; the nearest valid names are given.
    """
    if isinstance(identifier, str) and identifier in KNOWN:
        return KNOWN[identifier]
    try:
        return keras.activations.get(identifier)
    except ValueError as error:
        names = [name for name in dir(keras.activations) if name.islower() and name[0] != "_"]
        names = [name for name in names if name not in ("get", "serialize", "deserialize")]
        raise ValueError(
            f"Unknown activation: {identifier!r}. {parts.nearest(identifier, [*KNOWN, *names])} "
            f"Received: {identifier!r}"
        ) from error
