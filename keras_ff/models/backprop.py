"""From a Forward-Forward network to backpropagation, and back."""

import math

import keras
from keras import ops

from keras_ff import labels
from keras_ff.layers.batch import Batch
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.layers.opaque import Opaque
from keras_ff.losses import AUTO_THRESHOLD, Logistic
from keras_ff.models import other_layers
from keras_ff.models.stack import Stack
from keras_ff.utils.registry import registered

# How often goodness is measured and scaled anew, and by what logarithm at most; one step is exact
# for a product under a rectified activation.
SCALING_STEPS = 16
LARGEST_STEP = 3.0


def to_backprop(model, carry_weights=True):
    """A plain `keras.Model` of the model's layers, with a softmax head.

    Every FF layer stands in it as an ordinary layer, its normalisation included, which keeps
    unbounded activations stable; gradients pass from layer to layer. Samples enter with the
    neutral label, so that every weight has its place and carried layers return what the model's
    do. It shares no variable with the model. On carried weights the head starts at zero, so that
    no random one disturbs what the layers have learned; to train the head alone for an epoch
    first helps further.
    """
    _check_built(model)
    layers = [_as_plain_layer(layer) for layer in model.stack.layers]
    trainable = [layer.trainable for layer in layers]
    stack = Stack(layers, model.labels_first)
    for layer, value in zip(layers, trainable, strict=True):
        layer.trainable = value
    dtype = "string" if other_layers.needs_text(stack.leading) else None
    inputs = keras.Input(model.sample_shape, dtype=dtype)
    samples = stack.lead(inputs)
    if model.unsupervised:
        samples = model.negatives.neutral(samples)
    elif model.label_embedding is not None:
        neutral_label = NeutralLabel.like(model.label_embedding, model.num_classes)
        samples = neutral_label(samples)
        if model.label_embedding.learned:
            neutral_label.set_weights(model.label_embedding.get_weights())
    batch = Batch(samples, streams=1)
    for layer in stack.ff_layers:
        layer.num_classes = model.num_classes
        batch = stack.enter(batch)
        batch = batch.next(layer.outputs(layer(batch.inputs), layer.skip(batch)))
    head = keras.layers.Dense(
        model.num_classes,
        activation="softmax",
        kernel_initializer="zeros" if carry_weights else "glorot_uniform",
        dtype="float32",
        name=f"{model.name}_head",
    )
    flat = keras.layers.Flatten(name=f"{model.name}_flatten")(batch.inputs)
    network = keras.Model(inputs, head(flat))
    if carry_weights:
        for plain, layer in zip(layers, model.stack.layers, strict=True):
            _carry(layer, plain)
    return network


@registered
class NeutralLabel(keras.layers.Layer):
    """Gives samples a label of no class, as they have it under a softmax readout."""

    def __init__(self, label_embedding, num_classes, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.label_embedding = labels.get(label_embedding)
        self.num_classes = num_classes
        if self.label_embedding.learned:  # which the Forward-Forward layers do
            self.label_embedding.trainable = False

    @classmethod
    def like(cls, label_embedding, num_classes):
        """One with a copy of a label embedding, which shares no variable with it."""
        copied = keras.saving.serialize_keras_object(label_embedding)
        return cls(keras.saving.deserialize_keras_object(copied), num_classes)

    def build(self, input_shape):
        if self.label_embedding.learned:
            self.label_embedding.build_for(input_shape, self.num_classes)

    def call(self, x):
        return self.label_embedding(x, None, self.num_classes)

    def compute_output_shape(self, input_shape):
        return self.label_embedding.output_shape(input_shape, self.num_classes)

    def get_config(self):
        label_embedding = keras.saving.serialize_keras_object(self.label_embedding)
        return {
            **super().get_config(),
            "label_embedding": label_embedding,
            "num_classes": self.num_classes,
        }


def carry_from_backprop(model, network, x, y):
    """As `FFModel.carry_from_backprop`."""
    _check_built(model)
    pairs = _pairs(network, model)
    for plain, layer in pairs:
        _carry(plain, layer)
    if not model.class_groups:
        for index, layer in enumerate(model.ff_layers):
            _scale_to_threshold(model, index, layer, x, y)


def _pairs(network, model):
    """The network's layers beside the model's that they stand for."""
    remaining, pairs = iter(network.layers), []
    for layer in model.stack.layers:
        # Among them stand others, of which `to_backprop` needs some.
        plain = next((other for other in remaining if type(other) is type(layer)), None)
        pairs.append((plain, layer))
    number = sum(isinstance(layer, FFLayer) for layer in network.layers)
    if pairs[-1][0] is None or number != len(model.ff_layers):
        raise ValueError(
            "The network must hold the model's layers in their order, as `to_backprop` makes it. "
            f"Received: {[type(layer).__name__ for layer in network.layers]} for "
            f"{[type(layer).__name__ for layer in model.stack.layers]}"
        )
    for plain, layer in pairs:
        shapes = [
            [tuple(weight.shape) for weight in _network_weights(one)] for one in (plain, layer)
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"The network's layer {plain.name!r} does not fit the model's {layer.name!r}. "
                f"Received: weights of shapes {shapes[0]} for {shapes[1]}"
            )
    return pairs


def _scale_to_threshold(model, index, layer, x, y):
    """Scale a layer's weights by a factor at which its positives' goodness meets the threshold."""
    target = AUTO_THRESHOLD * layer.goodness_unit
    if layer.threshold is not None:
        target = float(ops.convert_to_numpy(layer.threshold))
    elif isinstance(layer.loss, Logistic):
        target = layer.loss.initial_threshold(layer.goodness_unit)
    labels = None if model.unsupervised else ops.cast(y, "int32")
    batch = Batch(model.streams.embed(x, labels), streams=1)
    # Goodness goes with some power of the factor, two for a product under a rectified activation.
    power, step, before = 2.0, None, None
    for _ in range(SCALING_STEPS):
        goodness = model.stack.goodness(model.stack.activities(batch))[index]
        apart = math.log(target / max(float(ops.mean(goodness)), 1e-12))
        if abs(apart) < 1e-3:
            break
        if step is not None:
            power = min(max((before - apart) / step, 0.5), 8.0)
        step, before = min(max(apart / power, -LARGEST_STEP), LARGEST_STEP), apart
        for weight in layer.transform.trainable_weights:
            weight.assign(weight * math.exp(step))


def _check_built(model):
    if not model.built:
        raise ValueError(
            "The model must be built, so that the shape of its samples is known: call "
            f"`build` or `fit` first. Received: {model!r}"
        )


def _as_plain_layer(layer):
    """A copy of a layer, an FF layer without an objective of its own."""
    if isinstance(layer, Opaque):  # whose function need not have a name to be saved by
        return Opaque(layer.function, name=layer.name, dtype=layer.dtype_policy)
    config = layer.get_config()
    if isinstance(layer, FFLayer):
        config = {**config, "loss": None, "optimizer": None, "auxiliary": None}
        if isinstance(layer.goodness, keras.layers.Layer):  # whose weights would learn nothing
            config["goodness"] = "mean_of_squares"
    else:
        config = other_layers.serialized(layer)["config"]
        config = {**config, "trainable": True}  # backpropagation reaches it
    return type(layer).from_config(config)


def _carry(source, target):
    """Copy the weights of a layer's way of the data to another layer."""
    for old, new in zip(_network_weights(source), _network_weights(target), strict=True):
        # Of its own, for under JAX a step takes over the arrays that it is given.
        new.assign(ops.copy(old))


def _network_weights(layer):
    """Weights of a layer's way of the data, without those of its objective."""
    if not isinstance(layer, FFLayer):
        return layer.weights
    way = (layer.normalization, layer.transform, layer.activation, layer.pooling)
    return [weight for part in way for weight in getattr(part, "weights", [])]
