"""The way of a batch through a model's layers."""

import copy
import itertools

import keras
from keras import ops

from keras_ff import backends
from keras_ff.fast.fused_update import update
from keras_ff.fast.step_cache import SharedSteps
from keras_ff.labels.labelled_samples import embedded
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.utils import keras_internals
from keras_ff.utils.devices import on_device


class LayerOrder:
    """The FF layers of a model and the other layers that stand before each of them.

    No gradient crosses from one FF layer to the next, so whatever stands between them needs
    none: it is applied as it is, and learns nothing.

    Args:
        layers: list of Keras layers, first to last, some of them `FFLayer`s.
    """

    def __init__(self, layers):
        self.ff_layers = [layer for layer in layers if isinstance(layer, FFLayer)]
        # How many layers back the longest shortcut begins; none are remembered without shortcuts.
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

    def all(self):
        """All layers in their order."""
        layers = []
        for waiting, layer in zip(self.before, self.ff_layers, strict=True):
            layers.extend([*waiting, layer])
        return layers

    @property
    def others(self):
        """The layers that are no FF layers."""
        return [layer for waiting in self.before for layer in waiting]

    def build(self, shape, devices):
        """Build every layer for samples of `shape`, labels embedded.

        Args:
            shape: tuple, the first axis `None`.
            devices: names of the FF layers' devices, `None` for the default one.
        """
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
            shape = layer.handed_shape(activities, self._shortcut(layer, shapes))
        self.taken_shapes = shapes

    def enter(self, index, handed, entered, training=False):
        """What FF layer `index` takes, and its shortcut, from what the one before handed on.

        Args:
            index: integer.
            handed: tensor, or for the first layer labelled samples.
            entered: list of what the layers before took, as far as shortcuts reach, to which this
                one's is added.
            training: boolean, for the layers between.
        """
        for other in self.before[index]:
            handed = other(embedded(handed), **keras_internals.training_argument(other, training))
        if self.reach:
            handed = embedded(handed)
            entered[:] = [*entered, handed][-self.reach :]
        return handed, self._shortcut(self.ff_layers[index], entered)

    @staticmethod
    def _shortcut(layer, entered):
        """What stands at the beginning of a residual layer's span."""
        if not layer.span:
            return None
        if layer.span > len(entered):
            raise ValueError(
                f"The shortcut of layer {layer.name!r} begins before the model's first layer. "
                f"Received: span={layer.span} at FF layer {len(entered)}"
            )
        return entered[-layer.span]


def _output_shape(layer, shape):
    """Shape of what any Keras layer answers; many leave it to Keras to find out."""
    answer = layer.compute_output_spec(keras.KerasTensor(shape, dtype="float32"))
    return tuple(answer.shape)


class Passage:
    """A batch on its way through the layers, with what travels along.

    Args:
        order: the `LayerOrder`.
        handed: tensor or labelled samples of shape (streams · batch, ...), positives first.
        streams: integer, 1 + the number of negatives a sample.
        size: integer tensor, number of samples in the batch.
        labels: int32 tensor of shape (batch,), or `None`.
        sample_weight: tensor of shape (batch,), or `None`.
    """

    def __init__(self, order, handed, streams, size, labels=None, sample_weight=None):
        self.order = order
        self.handed = handed
        self.streams = streams
        self.size = size
        self.labels = labels
        self.sample_weight = sample_weight
        self.entered = []
        self.known_goodness = []
        self.steps = SharedSteps(order)

    def copy(self):
        """The same batch at the same place."""
        other = copy.copy(self)
        other.entered = list(self.entered)
        other.steps = self.steps.copy()
        return other

    def packed(self):
        """The batch behind its first layer, as a dictionary of tensors."""
        apart = ("order", "streams", "known_goodness", "steps")
        return {key: value for key, value in vars(self).items() if key not in apart}

    @classmethod
    def unpacked(cls, order, streams, packed):
        """The batch that was packed."""
        packed = dict(packed)
        entered = packed.pop("entered")
        passage = cls(order, streams=streams, **packed)
        passage.entered = list(entered)
        return passage

    def skip(self, handed, goodness):
        """Go on behind the first layers, whose answers are known.

        Args:
            handed: what the last of them hands on.
            goodness: list with the goodness of each.
        """
        self.handed = handed
        self.known_goodness = goodness

    def measure(self, index):
        """Figures of FF layer `index`, which the batch passes without teaching it anything."""
        layer = self.order.ff_layers[index]
        if index < len(self.known_goodness):
            figures = layer.figures_of(
                self.known_goodness[index], self.streams, self.sample_weight, self.labels
            )
            return {**figures, "loss": sum(layer.losses, figures["loss"])}
        taken, shortcut = self.order.enter(index, self.handed, self.entered)
        figures, self.handed = layer.measure(
            taken, self.streams, self.sample_weight, labels=self.labels, shortcut=shortcut
        )
        return figures

    def teach(self, chain, learning, optimizer=None):
        """A local step of one FF layer, or of several in a chain by the loss of the last one.

        Args:
            chain: indices of neighbouring layers, the last of them one that learns.
            learning: indices of the layers that learn; others of the chain stay as they are.
            optimizer: stands in for the layers' own; see `FFLayer.train_step`.

        Returns:
            A list of the layers' figures.
        """
        layers = [self.order.ff_layers[index] for index in chain]
        # Labels that are embedded by a learned map have to be so under the tape of the first layer.
        if len(chain) == 1 and layers[0].label_embedding is None:
            taken, shortcut = self.order.enter(*chain, self.handed, self.entered, training=True)
            figures, self.handed = self.steps.take(
                *chain, taken, self.streams, self.sample_weight, optimizer, self.labels, shortcut
            )
            return [figures]

        def objective():
            # A copy: what is traced for a gradient must not stay behind.
            handed, figures, entered = self.handed, [], list(self.entered)
            for index, layer in zip(chain, layers, strict=True):
                taken, shortcut = self.order.enter(index, handed, entered, training=True)
                of_layer, handed = layer.objective(
                    taken, self.streams, self.sample_weight, True, self.labels, shortcut
                )
                figures.append(of_layer)
            scale = (optimizer or layers[-1].optimizer).scale_loss
            return layers[-1].to_descend(figures[-1], scale), (figures, handed, entered)

        variables = [
            layer.trainable_variables if index in learning else []
            for index, layer in zip(chain, layers, strict=True)
        ]
        (figures, handed, self.entered), gradients = backends.auxiliary_and_gradients(
            objective, [variable for of_layer in variables for variable in of_layer]
        )
        for layer, of_layer in zip(layers, variables, strict=True):
            own, gradients = gradients[: len(of_layer)], gradients[len(of_layer) :]
            if layer is not layers[-1]:
                # What belongs to its own objective has no part in that of the chain's last layer.
                has_part = [gradient is not None for gradient in own]
                own = list(itertools.compress(own, has_part))
                of_layer = list(itertools.compress(of_layer, has_part))
            update(optimizer or layer.optimizer, own, of_layer)
        self.handed = ops.stop_gradient(handed)
        return figures
