"""The sources' own networks, compiled as they trained them: functions for `Cell.network`.

Each takes a sample's shape, the number of classes, that of epochs and that of batches per epoch.
"""

import dataclasses
import itertools

import keras

from keras_ff import activations
from keras_ff.layers import FFAttention, FFLayer
from keras_ff.models import FFModel


def metrics():
    """What trainings measure: accuracy, and the cross-entropy of probabilities."""
    cross_entropy = keras.metrics.SparseCategoricalCrossentropy(name="cross_entropy")
    return ["accuracy", cross_entropy]


def plain(sample_shape, units, num_classes, optimizer, activation="relu"):
    """Dense layers and a softmax, compiled for backpropagation."""
    activation = activations.get(activation)
    network = keras.Sequential(
        [
            keras.Input(sample_shape),
            keras.layers.Flatten(),
            *(keras.layers.Dense(width, activation=activation) for width in units),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )
    network.compile(optimizer, "sparse_categorical_crossentropy", metrics=metrics())
    return network


def other_parts(config, sample_shape, num_classes, epochs, steps, **parts):
    """The network of a configuration of ours with other parts, arguments of `FFModel`."""
    config = dataclasses.replace(config, epochs=epochs)
    model = config.new_model(sample_shape, num_classes, steps)
    changed = _without_shapes(keras.saving.serialize_keras_object(model))
    for name, part in parts.items():
        changed["config"][name] = keras.saving.serialize_keras_object(part)
    network = keras.saving.deserialize_keras_object(changed)
    network.build((None, *sample_shape))
    return network


def _without_shapes(config):
    """A serialised object without shapes, which other negatives may change."""
    if isinstance(config, list):
        return [_without_shapes(one) for one in config]
    if not isinstance(config, dict):
        return config
    return {
        name: _without_shapes(value) for name, value in config.items() if name != "build_config"
    }


def described(model):
    """The layers of a network by kind and width, and its activation: `"dense 2 × 500, relu"`.

    A head that makes scores of the last layer's activities is left out.
    """
    layers = model.ff_layers if isinstance(model, FFModel) else model.layers
    widths = [found for layer in layers if (found := _width(layer)) is not None]
    if not isinstance(model, FFModel):
        widths.pop()
    activation = next(found for layer in layers if (found := _activation(layer)) is not None)
    kinds = []
    for kind, group in itertools.groupby(widths, key=lambda found: found[0]):
        runs = itertools.groupby(width for _, width in group)
        texts = ((len(list(run)), width) for width, run in runs)
        kinds.append(
            f"{kind} " + ", ".join(f"{n} × {width}" if n > 1 else str(width) for n, width in texts)
        )
    return f"{'; '.join(kinds)}, {activation}"


def _activation(layer):
    """The name of a layer's activation, `None` where it has none."""
    name = "last_activation" if isinstance(layer, FFLayer) else "activation"
    return getattr(getattr(layer, name, None), "__name__", None)


def _width(layer):
    """Kind and width of a layer with a weight matrix, `None` for others."""
    if isinstance(layer, FFAttention):
        return "attention", layer.activities_shape[-1]
    if isinstance(layer, FFLayer):
        found = [one for part in layer.transform._flatten_layers() if (one := _width(part))]
        if found:
            return found[-1]
        return type(layer).__name__.removeprefix("FF").lower(), layer.activities_shape[-1]
    if isinstance(layer, keras.layers.Dense):
        return "dense", layer.units
    if isinstance(layer, keras.layers.Conv2D):
        return "conv", layer.filters
    return None
