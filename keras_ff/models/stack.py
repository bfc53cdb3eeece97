"""The stack: the FF layers of a model, and the Keras layers that stand before each of them."""

import math

import keras
from keras import ops

from keras_ff import fast
from keras_ff.layers.batch import Batch
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.models import other_layers
from keras_ff.utils import keras_internals
from keras_ff.utils.devices import on_device


class Stack:
    """The layers of a model in their order, some of them `FFLayer`s.

    No gradient crosses from one FF layer to the next, so whatever stands between them needs none:
    it is applied as it is, and learns nothing but the statistics of batch normalisations. What
    stands before the first FF layer sees samples alone; the label joins behind it, unless
    `labels_first`.
    """

    def __init__(self, layers, labels_first=False):
        self.layers = layers
        self.ff_layers = [layer for layer in layers if isinstance(layer, FFLayer)]
        # How many layers back the longest skip connection begins; 0 where there is none.
        self.reach = max((layer.span for layer in self.ff_layers), default=0)
        self.before = []
        waiting = []
        for layer in layers:
            if isinstance(layer, FFLayer):
                self.before.append(waiting)
                waiting = []
            else:
                other_layers.check(layer)
                other_layers.freeze(layer)
                waiting.append(layer)
        if waiting:
            raise ValueError(
                "Nothing learns from what stands behind the last FF layer. "
                f"Received: {waiting[0].name!r} as the last of `layers`"
            )
        self.leading = []
        if not labels_first:
            self.leading, self.before[0] = self.before[0], []

    @property
    def others(self):
        """The layers that are no FF layers."""
        return [*self.leading, *(layer for waiting in self.before for layer in waiting)]

    @property
    def augments(self):
        """Whether samples or activities are varied at random before the last FF layer's own."""
        before = [self.leading, *self.before[:-1]]
        return any(other_layers.augments(layer) for waiting in before for layer in waiting)

    def build_leading(self, shape, device):
        """Build the layers before the first FF layer; returns the shape of samples behind them."""
        received, dtype = tuple(shape), "float32"
        if other_layers.needs_text(self.leading):
            dtype = "string"
        for layer in self.leading:
            try:
                with on_device(device):
                    if not layer.built:
                        layer.build(shape)
                    outputs = other_layers.output_spec(layer, shape, dtype)
                    other_layers.freeze(layer)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"Layer {layer.name!r}, which stands before the first FF layer, cannot take "
                    f"such samples. Received: samples of shape {received[1:]}: {error}"
                ) from error
            shape, dtype = tuple(outputs.shape), outputs.dtype
        if len(shape) < 2 or None in shape[1:]:
            raise ValueError(
                "The layers before the first FF layer must give samples of a known shape of at "
                "least one axis; text, for one, has it with "
                "TextVectorization(output_sequence_length=…) or (pad_to_max_tokens=True). "
                f"Received: samples of shape {received[1:]}, which become {shape[1:]}"
            )
        return shape

    def build(self, shape, devices):
        """Build every layer on its device for samples of `shape`, labels embedded."""
        samples_shape, shapes, free = shape, [], [0]
        for waiting, layer, device in zip(self.before, self.ff_layers, devices, strict=True):
            try:
                with on_device(device):
                    for other in waiting:
                        if not other.built:
                            other.build(shape)
                        before = shape
                        shape = tuple(other_layers.output_spec(other, shape).shape)
                        free[-1] = _free_behind(free[-1], before, shape)
                        other_layers.freeze(other)
                    shapes.append(tuple(shape))
                    self.check_built_for(layer, shape)
                    entered = (None, math.prod(shape[1:])) if layer.flattens else shape
                    layer.free_inputs = _free_behind(free[-1], shape, entered)
                    if not layer.built:
                        layer.build(shape)
                    activities = layer.compute_output_shape(shape)
            except ValueError as error:
                if "zero or negative" not in str(error):
                    raise
                raise ValueError(
                    f"Nothing is left of the samples at layer {layer.name!r}: use larger images, "
                    "or fewer poolings and strides. "
                    f"Received: samples of shape {samples_shape[1:]}: {error}"
                ) from error
            shape = layer.outputs_shape(activities, self._skip_shape(layer, shapes, free))
            free.append(layer.free_units)
        self.input_shapes = shapes

    @staticmethod
    def check_built_for(layer, shape):
        """Raise ValueError where an FF layer was built for inputs of another shape."""
        known = (layer.get_build_config() or {}).get("input_shape") if layer.built else None
        if known is None:
            return
        shapes = [tuple(each[1:]) for each in (known, shape)]
        if layer.flattens:
            shapes = [math.prod(each) for each in shapes]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"Layer {layer.name!r} was built for inputs of shape {tuple(known[1:])}, as in "
                f"another model; make a new one. Received: inputs of shape {tuple(shape[1:])}"
            )

    @staticmethod
    def _skip_shape(layer, shapes, free):
        if not layer.span:
            return None
        if layer.span > len(shapes):
            raise ValueError(
                f"The skip connection of layer {layer.name!r} begins before the model's first "
                f"layer. Received: span={layer.span} at FF layer {len(shapes)}"
            )
        shape = shapes[-layer.span]
        if 0 < free[-layer.span] < shape[-1]:
            raise ValueError(
                f"The skip connection of layer {layer.name!r} would join units that belong to no "
                "class to class groups; begin it where all units are free, or none. Received: "
                f"{free[-layer.span]} free units of {shape[-1]}"
            )
        return shape

    def lead(self, x, training=False, augment=False):
        """Samples behind the layers before the first FF layer; arguments as for `enter`."""
        return _through(self.leading, x, training, augment)

    def enter(self, batch, training=False, augment=False):
        """The batch as the FF layer takes it that comes next: behind the layers between.

        Args:
            batch: a `keras_ff.layers.Batch`.
            training: boolean. Whether the FF layer learns from it. Defaults to `False`.
            augment: boolean. Whether it is a training step, whichever layers learn: layers that
                augment samples draw in each of them. Defaults to `False`.
        """
        layer, before = self.ff_layers[batch.layer], self.before[batch.layer]
        if before:
            inputs = _through(before, layer.embed(batch), training, augment)
            batch = batch.replace(inputs=inputs, stream_labels=None, perturbation=None)
        if self.reach:
            inputs = layer.embed(batch)
            if not _learns(layer.label_embedding):  # else it is to be embedded under a tape
                batch = batch.replace(inputs=inputs, stream_labels=None, perturbation=None)
            batch = batch.replace(skips=(*batch.skips, inputs)[-self.reach :])
        return batch

    def learns_before(self, index):
        """Whether labels are embedded by what learns with FF layer `index`, and enter others first.

        The others, which learn nothing, then have to be under the layer's tape.
        """
        return bool(self.before[index]) and _learns(self.ff_layers[index].label_embedding)

    def activities(self, batch):
        """Activities of every layer, a list, for a batch in front of the first layer."""
        activities = []
        for layer in self.ff_layers:
            batch = self.enter(batch)
            activities.append(ops.stop_gradient(fast.forward(layer, batch)))
            outputs = layer.outputs(activities[-1], layer.skip(batch))
            batch = batch.next(ops.stop_gradient(outputs))
        return activities

    def goodness(self, activities):
        """Goodness of every layer's activities, a list; per class for class groups."""
        return [
            layer.compute_goodness(of_layer)
            for layer, of_layer in zip(self.ff_layers, activities, strict=True)
        ]

    def first_goodness(self, samples):
        """Goodness of the first layer for embedded samples."""
        first, batch = self.ff_layers[0], self.enter(Batch(samples, streams=1))
        return first.compute_goodness(first.forward(batch))


def _free_behind(free, before, behind):
    """How many of the last channels belong to no class behind a layer, by the shapes around it."""
    if free == before[-1]:
        return behind[-1]
    return free if behind[-1] == before[-1] else 0


def _learns(label_embedding):
    return label_embedding is not None and label_embedding.learned


def _through(layers, inputs, training, augment):
    """What Keras layers make of inputs, one after the other."""
    for layer in layers:
        if isinstance(layer, keras.Sequential):
            inputs = _through(layer.layers, inputs, training, augment)
            continue
        active = training or (augment and other_layers.augments(layer))
        inputs = layer(inputs, **keras_internals.training_argument(layer, active))
    return inputs
