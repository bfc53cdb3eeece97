"""From a preset's files to a model."""

import json

import keras

from keras_ff.presets import storage
from keras_ff.utils import registry


def model_of(config, weights, where):
    """The model of a configuration and weights.

    Args:
        config: bytes, the content of `config.json`.
        weights: bytes, the content of `weights.npz`, or `None`: new weights.
        where: string, what the preset is called in errors.

    Returns:
        A model, built, and compiled where the one that was saved was.

    Raises:
        ValueError: if the files are not those of a preset.
    """
    try:
        config = json.loads(config)
    except ValueError as error:
        raise ValueError(f"The configuration of {where!r} is damaged: {error}.") from error
    model = deserialized(config, f"The configuration of {where!r}")
    if weights is not None:
        storage.unpack(weights, model, f"The weights of {where!r}")
    return model


def deserialized(config, what):
    """The `FFModel` of a serialised one; `what` it is called in errors."""
    try:
        model = keras.saving.deserialize_keras_object(config)
    # What a configuration by another version leads to inside Keras is of any kind.
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{what} cannot be read: {str(error).splitlines()[0]}.") from error
    if not isinstance(model, registry.registered_class("FFModel")):
        raise ValueError(
            f"{what} must be that of an FFModel. Received: one of a {type(model).__name__}"
        )
    return model
