"""The way into acceleration: local steps in training, forward passes in scoring."""

import os

from keras import ops

from keras_ff import backends
from keras_ff.fast import fused_step, fused_update, label_product, step_cache
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.utils import keras_internals

# By how many layers a batch may go on before one has learned from it, which keeps what it needs
# for that until then. With one a step takes up to a tenth longer (ResNet-17, width 40); without a
# limit each convolution at 128 × 32² × 64 adds 4 to 6 MiB of memory, not 2.
AHEAD = 2


def is_on():
    """Whether acceleration is wanted; read when a step is traced."""
    return os.environ.get("KERAS_FF_FAST", "1") != "0"


def stepper(model):
    """What takes the local steps of a model's layers within one trace; eagerly, plain steps."""
    return _Stepper(model)


def forward(layer, batch, training=False):
    """As `layer.forward(batch, training)`; labels that share their samples share a product."""
    if not (is_on() and label_product.applies(layer, batch)):
        return layer.forward(batch, training)
    keras_internals.clear_losses(layer)
    pre_activation = label_product.pre_activation(layer, batch)
    return backends.spread(layer.activate(pre_activation, training))


class _Stepper:
    def __init__(self, model):
        self._model = model
        self._plain = model.run_eagerly or not is_on()
        self._kinds = None
        self._halves = {}
        self._done = []

    def step(self, layer, batch):
        """As `layer.train_step(batch)`: metrics, and the batch that the next layer takes."""
        if self._plain or type(layer).train_step is not FFLayer.train_step:
            return layer.train_step(batch)
        if not fused_step.applies(layer):
            return _step_by_parts(layer, batch)
        kind = self._kind(batch.layer)
        if kind is None:
            metrics, outputs, found = fused_step.compute_gradients(layer, batch, layer.skip(batch))
            fused_step.apply_gradients(layer, found)
            return metrics, batch.next(outputs)
        return self._cached_step(layer, batch, kind)

    def _kind(self, index):
        """What layer `index` has in common with another; `None` where it is the only one."""
        if self._kinds is None:
            self._kinds = step_cache.kinds(self._model)
        kind = self._kinds[index]
        return kind if self._kinds.count(kind) > 1 else None

    def _cached_step(self, layer, batch, kind):
        """A step that is compiled once for all layers of a kind."""
        if kind not in self._halves:
            self._halves[kind] = step_cache.halves(layer, batch)
        compute, apply = self._halves[kind]
        state, inputs = step_cache.state(layer), batch.inputs
        if len(self._done) >= AHEAD:
            inputs = backends.control_dependency(self._done[-AHEAD], inputs)
        tensors = (inputs, batch.labels, batch.sample_weight, layer.skip(batch))
        metrics, outputs, found = compute(state, *tensors)
        self._done.append(apply(state, found))
        return metrics, batch.next(outputs)


def _step_by_parts(layer, batch):
    """A step in which the forward pass and the update are accelerated by themselves."""

    def objective():
        activities = forward(layer, batch, training=True)
        metrics, outputs = layer.objective(batch, training=True, activities=activities)
        return layer.scaled_loss(metrics), (metrics, outputs)

    (_, (metrics, outputs)), gradients = backends.value_and_grad(
        objective, layer.trainable_variables
    )
    fused_update.update(layer.optimizer, gradients, layer.trainable_variables)
    return metrics, batch.next(ops.stop_gradient(outputs))
