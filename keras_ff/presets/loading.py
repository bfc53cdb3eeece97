"""From a preset's files to a model."""

import json

import keras

from keras_ff.models import FFModel, rebuild
from keras_ff.presets import storage


def model_of_class(kind, name_or_path, *arguments):
    """The model of a preset, which must be of a class.

    Args:
        kind: class of Keras models.
        name_or_path: as for `keras_ff.zoo.get`.
        *arguments: those of `keras_ff.zoo.Preset.model`.

    Returns:
        A model of that class.

    Raises:
        ValueError: if the preset holds a model of another class, or as for the two.
    """
    from keras_ff import zoo

    model = zoo.get(name_or_path).model(*arguments)
    if not isinstance(model, kind):
        own = type(model).__name__
        raise ValueError(
            f"The preset holds a {own}, not a {kind.__name__}: load it by {own}.from_preset. "
            f"Received: {str(name_or_path)!r}"
        )
    return model


def model_of(config, weights, where, num_classes=None, readout=None):
    """The model of a configuration and weights.

    Args:
        config: bytes, the content of `config.json`.
        weights: bytes, the content of `weights.npz`, or `None`: new weights.
        where: string, what the preset is called in errors.
        num_classes, readout: as for `FFModel.from_preset`. Default to `None`.

    Returns:
        A model, built, and compiled where the one that was saved was.

    Raises:
        ValueError: if the files are not those of a preset, or a network with so many classes
            cannot be made.
    """
    try:
        config = json.loads(config)
    except ValueError as error:
        raise ValueError(f"The configuration of {where!r} is damaged: {error}.") from error
    model = _deserialized(config, where)
    if weights is not None:
        storage.unpack(weights, model, f"The weights of {where!r}")
    if num_classes in (None, model.num_classes) and readout is None:
        return model
    return rebuild.remade(model, num_classes, readout)


def _deserialized(config, where):
    try:
        model = keras.saving.deserialize_keras_object(config)
    # What a configuration by another version leads to inside Keras is of any kind.
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"The configuration of {where!r} cannot be read: {str(error).splitlines()[0]}."
        ) from error
    if not isinstance(model, FFModel):
        raise ValueError(
            f"The configuration of {where!r} must be that of an FFModel. "
            f"Received: one of a {type(model).__name__}"
        )
    return model
