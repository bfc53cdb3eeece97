"""A model like another one, for other classes or with another readout."""

import keras

from keras_ff import readouts
from keras_ff.models import quantization
from keras_ff.utils import checks

CLASSES = "num_classes"


def rebuild(model, num_classes=None, readout=None):
    """A model of the same layers and weights, as far as these do not depend on what changes.

    Args:
        model: a built `FFModel`, which stays as it is.
        num_classes: integer of at least 2. Defaults to `None`: the model's.
        readout: a name or object of `keras_ff.readouts`, a new one. Defaults to `None`: the
            model's, with its weights.

    Returns:
        Another `FFModel`, built, and compiled where `model` is; its optimizers are new.

    Raises:
        ValueError: if the layers cannot be divided among so many classes, or the readout is
            unknown.
    """
    if num_classes is None:
        num_classes = model.num_classes
    num_classes = checks.whole_number(num_classes, CLASSES, minimum=2)
    config = keras.saving.serialize_keras_object(model)
    config = _with_classes(config, model.num_classes, num_classes)
    if readout is not None:
        readout = keras.saving.serialize_keras_object(readouts.get(readout))
        config["config"]["readout"] = readout
        quantization.leave_out_readout(config["config"])
    other = keras.saving.deserialize_keras_object(config)
    other.build((None, *model.sample_shape))
    _carry(model, other, with_readout=readout is None)
    return other


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
    return [model.layers_trained, *(each for layer in model.stack.layers for each in layer.weights)]


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
