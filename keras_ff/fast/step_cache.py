"""Equal layers share one compiled step.

A step is traced, compiled and kept once for all layers that differ in their weights alone. The
first step of 16 convolutions then takes 3 seconds instead of 16 on two cores, and a further one
adds 4 MiB to the program instead of 16.
"""

import copy
import functools

import keras
from keras import ops

from keras_ff import backends
from keras_ff.fast import fused_step

# By how many layers with such steps a batch may go on before one has learned from it, which keeps
# what it needs for that until then. With one a step takes up to a tenth longer (ResNet-17, width
# 40); without a limit each convolution at 128 × 32² × 64 adds 4 to 6 MiB of memory, not 2.
AHEAD = 2


class SharedSteps:
    """The local steps of a model's layers within one batch.

    Args:
        order: the model's `LayerOrder`.
    """

    def __init__(self, order):
        self.order = order
        self._halves = {}
        self._learned = []

    def copy(self):
        """The same compiled steps, of which none has been taken."""
        other = copy.copy(self)
        other._learned = []
        return other

    def take(
        self, index, inputs, streams, sample_weight, optimizer=None, labels=None, shortcut=None
    ):
        """A local step of FF layer `index`; the other arguments and the answer as `train_step`."""
        layer = self.order.ff_layers[index]
        # An optimizer in the place of the layer's own gathers gradients, and updates nothing.
        kind = self._kinds[index] if optimizer is None and backends.can_fuse() else None
        if kind is None or self._kinds.count(kind) == 1:
            return layer.train_step(inputs, streams, sample_weight, optimizer, labels, shortcut)
        if kind not in self._halves:
            self._halves[kind] = _halves(layer)
        answer, learn = self._halves[kind]
        state = _state(layer)
        if len(self._learned) >= AHEAD:
            inputs = backends.after(self._learned[-AHEAD], inputs)
        figures, handed, found = answer(state, inputs, streams, sample_weight, labels, shortcut)
        self._learned.append(learn(state, found))
        return figures, handed

    @functools.cached_property
    def _kinds(self):
        with backends.outside_graph():  # learning rates are read, which are variables
            # The first layer is the only one to take samples with labels.
            layers = zip(self.order.ff_layers[1:], self.order.taken_shapes[1:], strict=True)
            return [None, *[_kind(layer, shape) for layer, shape in layers]]


def _halves(layer):
    """Both halves of a layer's step, as functions of a layer's state and of tensors."""

    def answer(*tensors):
        return layer.answer(*tensors, layer.optimizer.scale_loss)

    def learn(found):
        layer.learn(found, layer.optimizer)
        return ops.zeros(())  # there once this is done

    return [backends.shared(half, _state(layer)) for half in (answer, learn)]


def _state(layer):
    """All variables that a layer's step reads or moves."""
    return [*layer.variables, *layer.optimizer.variables]


def _kind(layer, taken_shape):
    """What tells a layer's step from others': equal for layers that differ in weights alone.

    `None` where that cannot be known, as of functions, classes and parts of a user's own.
    """
    transform, optimizer = layer.transform, layer.optimizer
    parts = [transform, layer.normalization, layer.pooling, layer.goodness, layer.loss, optimizer]
    known = all(part is None or _is_known(part) for part in [layer, *parts])
    constrained = any(one.constraint is not None for one in layer.trainable_variables)
    if not known or constrained or not fused_step.applies(layer):
        return None
    schedule = optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        schedule = None  # a variable, whose value belongs to the state
    return (
        type(layer),
        layer.dtype_policy.name,
        tuple(taken_shape[1:]),
        layer.num_classes,
        layer.dropout.rate,
        (layer.span, getattr(layer, "merge", None)),
        # Functions are known by nothing but themselves.
        (id(layer.activation), id(schedule)),
        tuple((one.name, optimizer._use_weight_decay(one)) for one in layer.trainable_variables),
        repr([_nameless(part) for part in parts]),
    )


def _is_known(part):
    return type(part).__module__.split(".")[0] in ("keras", "keras_ff")


def _nameless(part):
    """Class and configuration of a part, without what has no influence on a step."""
    if part is None:
        return None
    config = part.get_config()
    kept = [key for key in config if not key.endswith(("name", "learning_rate", "_initializer"))]
    return type(part), [(key, config[key]) for key in kept]
