"""From a preset's files to a model."""

import json

import keras

from keras_ff import parts, readouts
from keras_ff.zoo import storage

CLASSES = "num_classes"


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
    if num_classes is None:
        num_classes = model.num_classes
    if num_classes == model.num_classes and readout is None:
        return model
    num_classes = parts.whole_number(num_classes, CLASSES, minimum=2)
    other = _with_classes(config, model.num_classes, num_classes)
    if readout is not None:
        readout = keras.saving.serialize_keras_object(readouts.get(readout))
        other["config"]["readout"] = readout
    other = _deserialized(other, where)
    other.build((None, *model.sample_shape))
    if weights is not None:
        _carry(model, other, with_readout=readout is None)
    return other


def _deserialized(config, where):
    from keras_ff.models import FFModel

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


def _with_classes(config, before, after):
    """A configuration for another number of classes, without shapes, which depend on it."""
    if isinstance(config, list):
        return [_with_classes(one, before, after) for one in config]
    if not isinstance(config, dict):
        return config
    changed = {
        key: _with_classes(value, before, after)
        for key, value in config.items()
        if key != "build_config"
    }
    if changed.get(CLASSES) == before:
        changed[CLASSES] = after
    negatives = changed.get("negatives")
    if negatives and negatives["config"].get("count"):
        # There are no more wrong labels than that.
        count = min(negatives["config"]["count"], after - 1)
        changed["negatives"] = {**negatives, "config": {**negatives["config"], "count": count}}
    return changed


def _weights(model, with_readout):
    if with_readout:
        return model.weights
    return [model.layers_trained, *(each for layer in model.all_layers for each in layer.weights)]


def _carry(source, target, with_readout):
    """Copy all weights whose shapes do not depend on the number of classes.

    Where the label stands behind a sample or a patch of it, the rows of the first layer's matrix
    that belong to pixels are copied, and those of the label stay new.
    """
    weights = (_weights(model, with_readout) for model in (source, target))
    for old, new in zip(*weights, strict=True):
        if old.shape == new.shape:
            new.assign(old)
            continue
        pixels = old.shape[0] - source.num_classes
        if pixels == new.shape[0] - target.num_classes and old.shape[1:] == new.shape[1:]:
            new.assign(keras.ops.concatenate([old[:pixels], new[pixels:]]))
