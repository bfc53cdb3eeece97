"""LayerLossScale: one loss scale for all layers under mixed float16."""

import contextlib

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

    @contextlib.contextmanager
    def step(self):
        """A step of the model: the layers' gradients are gathered, and applied at its end.

        They are all skipped where one of them is not finite.
        """
        owners = self.inner_optimizer.owners
        own = [owner.optimizer for owner in owners]
        gathering = _Gathering(self)
        for owner in owners:
            owner.optimizer = gathering
        try:
            yield
        finally:
            for owner, optimizer in zip(owners, own, strict=True):
                owner.optimizer = optimizer
        self.apply(gathering.gradients, gathering.variables)

    # Keras's own two, but for conditions of which the branches may assign variables under JAX.

    def _common_apply(self, grads, trainable_variables=None):
        branches = [
            lambda: self._stateful_handle_finite_grads(grads, trainable_variables),
            self._stateful_handle_non_finite_grads,
        ]
        backends.cond(self.check_finite(grads), branches)

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
