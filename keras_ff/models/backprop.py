"""From a Forward-Forward network to backpropagation, and back."""

import keras
import numpy as np
from keras import ops

from keras_ff.losses import AUTO_THRESHOLD, Logistic

# How often goodness is measured and scaled anew; one step is exact for rectified activations.
SCALING_STEPS = 8


def to_backprop(model, carry_weights=True):
    """A plain `keras.Model` of the model's layers, with a softmax head.

    Every FF layer stands in it as an ordinary layer, its normalisation included, which keeps
    unbounded activations stable; gradients pass from layer to layer. The samples enter without a
    label. It shares no variable with the model. On carried weights the head starts at zero, so
    that no random one disturbs what the layers have learned; to train the head alone for an epoch
    first helps further.

    Args:
        model: a built `FFModel`.
        carry_weights: boolean. Whether the layers start from the model's weights, without those of
            label inputs, or from new ones. Defaults to `True`.

    Returns:
        A built `keras.Model` from samples to class probabilities, of shape
        (batch, num_classes), not compiled.

    Raises:
        ValueError: if the model is not built.
    """
    _check_built(model)
    layers = [_as_plain_layer(layer) for layer in model.all_layers]
    trainable = [layer.trainable for layer in layers]
    order = type(model.layer_order)(layers)
    for layer, value in zip(layers, trainable, strict=True):
        layer.trainable = value
    inputs = keras.Input(model.sample_shape)
    handed, entered = inputs, []
    if model.unsupervised:
        handed = model.negatives.neutral(handed)
    elif model.label_embedding is not None:
        handed = model.label_embedding.without_label(handed)
    for index, layer in enumerate(order.ff_layers):
        layer.num_classes = model.num_classes
        taken, shortcut = order.enter(index, handed, entered)
        handed = layer.hand_on(layer(taken), shortcut)
    head = keras.layers.Dense(
        model.num_classes,
        activation="softmax",
        kernel_initializer="zeros" if carry_weights else "glorot_uniform",
        dtype="float32",
        name="head",
    )
    network = keras.Model(inputs, head(keras.layers.Flatten()(handed)))
    if carry_weights:
        for plain, layer in zip(layers, model.all_layers, strict=True):
            _carry(layer, plain)
    return network


def carry_from_backprop(model, network, x, y):
    """As `FFModel.carry_from_backprop`."""
    _check_built(model)
    kinds = [type(layer) for layer in model.all_layers]
    trained = [layer for layer in network.layers if type(layer) in kinds]
    if [type(layer) for layer in trained] != kinds:
        raise ValueError(
            "The network must hold the model's layers in their order, as `to_backprop` makes it. "
            f"Received: {[type(layer).__name__ for layer in network.layers]} for "
            f"{[kind.__name__ for kind in kinds]}"
        )
    for plain, layer in zip(trained, model.all_layers, strict=True):
        _carry(plain, layer)
    if not model.class_groups:
        for index, layer in enumerate(model.ff_layers):
            _scale_to_threshold(model, index, layer, x, y)


def _scale_to_threshold(model, index, layer, x, y):
    target = AUTO_THRESHOLD * layer.goodness_unit
    if layer.threshold is not None:
        target = float(layer.threshold)
    elif isinstance(layer.loss, Logistic):
        target = layer.loss.initial_threshold(layer.goodness_unit)
    for _ in range(SCALING_STEPS):
        embedded = model.embed(x, None if model.unsupervised else ops.cast(y, "int32"))
        goodness = model.goodness_of(model.activities(embedded))[index]
        factor = float(np.sqrt(target / max(float(ops.mean(goodness)), 1e-12)))
        if abs(factor - 1) < 1e-3:
            break
        for weight in layer.transform.trainable_weights:
            weight.assign(weight * factor)


def _check_built(model):
    if not model.built:
        raise ValueError(
            "The model must be built, so that the shape of its samples is known: call "
            f"`build` or `fit` first. Received: {model!r}"
        )


def _as_plain_layer(layer):
    """A copy of a layer, an FF layer without an objective of its own."""
    config = layer.get_config()
    if hasattr(layer, "own_loss"):
        config = {**config, "loss": None, "optimizer": None, "auxiliary": None}
        if isinstance(layer.goodness, keras.layers.Layer):  # whose weights would learn nothing
            config["goodness"] = "mean_of_squares"
    else:
        config = {**config, "trainable": True}  # backpropagation reaches it
    return type(layer).from_config(config)


def _carry(source, target):
    """Copy weights from layer to layer; label inputs stay what they are in the target."""
    for old, new in zip(_network_weights(source), _network_weights(target), strict=True):
        # An appended label has its inputs, and so its part of the first kernel, at the end.
        common = tuple(slice(min(sizes)) for sizes in zip(old.shape, new.shape, strict=True))
        values = ops.convert_to_numpy(new).copy()
        values[common] = ops.convert_to_numpy(old)[common]
        new.assign(values)


def _network_weights(layer):
    """Weights of a layer's way of the data, without those of its objective."""
    if not hasattr(layer, "own_loss"):
        return layer.weights
    normalization = [] if layer.normalization is None else layer.normalization.weights
    return [*normalization, *layer.transform.weights]
