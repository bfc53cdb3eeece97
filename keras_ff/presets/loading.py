"""From a preset's files to a model."""

import json

import keras

from keras_ff.presets import storage
from keras_ff.utils import registry
from keras_ff.utils.files import first_sentence

# Where classes and functions of a configuration come from; `builtins` is what Keras writes for
# functions that are registered by name.
PACKAGES = ("keras", "keras_ff", "builtins")


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


def _check_classes(config, what):
    """Raise ValueError where a configuration names what neither Keras nor keras_ff has.

    What the program itself has registered with Keras may stand in it as well.
    """
    if isinstance(config, (list, tuple)):
        for one in config:
            _check_classes(one, what)
    if not isinstance(config, dict):
        return
    module, name = config.get("module"), config.get("registered_name")
    if "class_name" in config and isinstance(module, str):
        own = isinstance(name, str) and keras.saving.get_registered_object(name) is not None
        if module.partition(".")[0] not in PACKAGES and not own:
            raise ValueError(
                f"{what} may name what Keras and keras_ff have, and what this program has "
                f"registered. Received: {config['class_name']!r} of {module!r}"
            )
    for one in config.values():
        _check_classes(one, what)


def _root(error):
    """The error that others were made of."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def deserialized(config, what):
    """The `FFModel` of a serialised one; `what` it is called in errors."""
    _check_classes(config, what)
    try:
        model = keras.saving.deserialize_keras_object(config)
    # What a configuration by another version leads to inside Keras is of any kind.
    except (TypeError, KeyError, AttributeError, ImportError) as error:
        raise ValueError(f"{what} cannot be read: {first_sentence(_root(error))}.") from error
    if not isinstance(model, registry.registered_class("FFModel")):
        raise ValueError(
            f"{what} must be that of an FFModel. Received: one of a {type(model).__name__}"
        )
    return model
