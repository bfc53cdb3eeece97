"""Which layers of a model `quantize` has changed: a part of its configuration."""

import keras


def recorded(model):
    """The quantized layers of an `FFModel`, as JSON can hold them: a list of dictionaries.

    Keras notes quantization in the layers that it changes, some of which FF layers and readouts
    make for themselves, as they were.
    """
    return [
        {
            "place": list(place),
            "mode": layer.quantization_mode,
            "config": keras.saving.serialize_keras_object(layer.quantization_config),
        }
        for place, layer in _within(model)
        if getattr(layer, "quantization_mode", None) is not None
    ]


def apply(model, record):
    """Quantize the layers of a built model as recorded; those that are so already stay."""
    layers = dict(_within(model))
    for entry in record:
        layer = layers[tuple(entry["place"])]
        if layer.quantization_mode is None:
            config = keras.saving.deserialize_keras_object(entry["config"])
            layer.quantize(entry["mode"], config=config, type_check=False)


def leave_out_readout(config):
    """Take out of a model's configuration what is recorded of its readout, the last part."""
    record, last = config.get("quantization") or (), len(config["layers"])
    config["quantization"] = [entry for entry in record if entry["place"][0] != last]


def _within(model):
    """All layers within a model's parts, with the number of the part and their number in it."""
    for part, owner in enumerate([*model.stack.layers, model.readout]):
        for number, layer in enumerate(owner._flatten_layers()):
            yield (part, number), layer
