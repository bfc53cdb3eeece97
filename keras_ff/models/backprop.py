"""The same network as a plain Keras model, to be trained by backpropagation."""

import keras


def to_backprop(model, carry_weights=True):
    """A `keras.Sequential` of the model's layers, with a softmax head.

    Every FF layer stands in it as an ordinary layer, its normalisation included, which keeps
    unbounded activations stable; gradients pass from layer to layer. The samples enter without a
    label. It shares no variable with the model.

    Args:
        model: a built `FFModel`.
        carry_weights: boolean. Whether the layers start from the model's weights, without those of
            label inputs, or from new ones. Defaults to `True`.

    Returns:
        A built `keras.Sequential` from samples to class probabilities, of shape
        (batch, num_classes), not compiled.

    Raises:
        ValueError: if the model is not built.
    """
    if not model.built:
        raise ValueError(
            "The model must be built, so that the shape of its samples is known: call "
            f"`build` or `fit` first. Received: {model!r}"
        )
    layers = [_as_plain_layer(layer) for layer in model.ff_layers]
    head = [
        keras.layers.Flatten(),
        keras.layers.Dense(model.num_classes, activation="softmax", dtype="float32", name="head"),
    ]
    network = keras.Sequential([keras.Input(model.sample_shape), *layers, *head])
    if carry_weights:
        for plain, layer in zip(layers, model.ff_layers, strict=True):
            _carry(layer, plain)
    return network


def _as_plain_layer(layer):
    """A copy of an FF layer without an objective of its own."""
    config = {**layer.get_config(), "loss": None, "optimizer": None}
    return type(layer).from_config(config)


def _carry(layer, plain):
    weights = [weight for weight in layer.weights if weight is not layer.threshold]
    for old, new in zip(weights, plain.weights, strict=True):
        # An appended label has its inputs, and so its rows of the first kernel, at the end.
        new.assign(old if old.shape == new.shape else old[: new.shape[0]])
