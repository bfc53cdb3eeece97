"""LayerLossScale: one loss scale for all layers under mixed float16."""

import keras
from keras import ops

from keras_ff import backends


class LayerLossScale(keras.optimizers.LossScaleOptimizer):
    """One loss scale for all layers under mixed float16: an overflow in one skips them all.

    Unlike its base it shows the layers' optimizers, which learning rate callbacks look for.
    """

    @property
    def optimizers(self):
        """The optimizers of the layers."""
        return self.inner_optimizer.optimizers

    def begin_step(self):
        """An optimizer that gathers the layers' scaled gradients until `end_step`."""
        return _Gathering(self)

    def end_step(self, gathering):
        """Apply what was gathered, or skip it all where a gradient is not finite."""
        self.apply(gathering.gradients, gathering.variables)

    # Keras's own two, but for conditions of which the branches may assign variables under JAX.

    def _common_apply(self, grads, trainable_variables=None):
        ways = [
            lambda: self._stateful_handle_finite_grads(grads, trainable_variables),
            self._stateful_handle_non_finite_grads,
        ]
        backends.choose(self.check_finite(grads), ways)

    def _stateful_handle_finite_grads(self, grads, trainable_variables):
        scale = ops.convert_to_tensor(self.dynamic_scale)
        unscaled = [None if gradient is None else gradient / scale for gradient in grads]
        self.inner_optimizer.apply(unscaled, trainable_variables=trainable_variables)
        grows = ops.equal(self.step_counter, self.dynamic_growth_steps - 1)
        self.step_counter.assign(ops.where(grows, 0, self.step_counter + 1))
        self.dynamic_scale.assign(ops.where(grows, 2 * scale, scale))


class _Gathering:
    """Takes the place of a layer's optimizer and keeps its gradients for later."""

    def __init__(self, loss_scale):
        self.scale_loss = loss_scale.scale_loss
        self.gradients = []
        self.variables = []

    def apply(self, gradients, variables):
        self.gradients.extend(gradients)
        self.variables.extend(variables)
