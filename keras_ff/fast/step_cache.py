"""Equal layers share one compiled step.

A step is traced, compiled and kept once for all layers that differ in their weights alone. The
first step of 16 convolutions then takes 3 seconds instead of 16 on two cores, and a further one
adds 4 MiB to the program instead of 16.
"""

import keras
from keras import ops

from keras_ff import backends
from keras_ff.fast import fused_step


def kinds(model):
    """By what the steps of a model's layers differ, one entry per layer.

    Equal for layers that differ in weights alone; `None` where nothing is known to be equal.
    """
    if not backends.can_fuse():
        return [None] * len(model.ff_layers)
    with backends.init_scope():  # learning rates are read, which are variables
        # The first layer is the only one to embed labels.
        layers = zip(model.ff_layers[1:], model.stack.input_shapes[1:], strict=True)
        return [None, *[_kind(layer, shape) for layer, shape in layers]]


def halves(layer, batch):
    """Both halves of a layer's step, as functions of a layer's state and of tensors."""

    def compute(inputs, labels, sample_weight, skip):
        own = batch.replace(inputs=inputs, labels=labels, sample_weight=sample_weight, skips=())
        return fused_step.compute_gradients(layer, own, skip)

    def apply(found):
        fused_step.apply_gradients(layer, found)
        return ops.zeros(())  # there once this is done

    return [backends.compile_once(half, state(layer)) for half in (compute, apply)]


def state(layer):
    """All variables that a layer's step reads or moves."""
    return [*layer.variables, *layer.optimizer.variables]


def _kind(layer, input_shape):
    transform, optimizer = layer.transform, layer.optimizer
    parts = [transform, layer.normalization, layer.pooling, layer.goodness, layer.loss, optimizer]
    # A loss scale gathers gradients, and updates nothing.
    known = isinstance(optimizer, keras.optimizers.Optimizer)
    known = known and all(part is None or _is_known(part) for part in [layer, *parts])
    constrained = any(one.constraint is not None for one in layer.trainable_variables)
    if not known or constrained or not fused_step.applies(layer):
        return None
    schedule = optimizer._learning_rate
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        schedule = None  # a variable, whose value belongs to the state
    return (
        type(layer),
        layer.dtype_policy.name,
        tuple(input_shape[1:]),
        layer.num_classes,
        layer.dropout.rate,
        (layer.span, getattr(layer, "merge", None)),
        # Functions are known by nothing but themselves.
        (id(layer.activation), id(schedule)),
        tuple((one.name, optimizer._use_weight_decay(one)) for one in layer.trainable_variables),
        # Muon may leave the weights of one layer to AdamW, and not those of another.
        tuple(tuple(one.shape) for one in optimizer.variables),
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
