"""The stack: the FF layers of a model, and the Keras layers that stand before each of them."""

import keras
from keras import ops

from keras_ff import fast
from keras_ff.layers.batch import Batch
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.utils import keras_internals
from keras_ff.utils.devices import on_device


class Stack:
    """The layers of a model in their order, some of them `FFLayer`s.

    No gradient crosses from one FF layer to the next, so whatever stands between them needs none:
    it is applied as it is, and learns nothing.
    """

    def __init__(self, layers):
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
                layer.trainable = False
                waiting.append(layer)
        if waiting:
            raise ValueError(
                "Nothing learns from what stands behind the last FF layer. "
                f"Received: {waiting[0].name!r} as the last of `layers`"
            )

    @property
    def others(self):
        """The layers that are no FF layers."""
        return [layer for waiting in self.before for layer in waiting]

    def build(self, shape, devices):
        """Build every layer on its device for samples of `shape`, labels embedded."""
        samples_shape, shapes = shape, []
        for waiting, layer, device in zip(self.before, self.ff_layers, devices, strict=True):
            try:
                with on_device(device):
                    for other in waiting:
                        if not other.built:
                            other.build(shape)
                        shape = _output_shape(other, shape)
                    shapes.append(tuple(shape))
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
            shape = layer.outputs_shape(activities, self._skip_shape(layer, shapes))
        self.input_shapes = shapes

    @staticmethod
    def _skip_shape(layer, shapes):
        if not layer.span:
            return None
        if layer.span > len(shapes):
            raise ValueError(
                f"The skip connection of layer {layer.name!r} begins before the model's first "
                f"layer. Received: span={layer.span} at FF layer {len(shapes)}"
            )
        return shapes[-layer.span]

    def enter(self, batch, training=False):
        """The batch as the FF layer takes it that comes next: behind the layers between."""
        layer, before = self.ff_layers[batch.layer], self.before[batch.layer]
        if before:
            inputs = layer.embed(batch)
            for other in before:
                inputs = other(inputs, **keras_internals.training_argument(other, training))
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


def _learns(label_embedding):
    return label_embedding is not None and label_embedding.learned


def _output_shape(layer, shape):
    """Shape of what any Keras layer returns; many leave it to Keras to find out."""
    outputs = layer.compute_output_spec(keras.KerasTensor(shape, dtype="float32"))
    return tuple(outputs.shape)
