"""LayerOptimizers: one optimizer per layer, seen by Keras as `model.optimizer`."""

import contextlib

import keras

from keras_ff.optimizers.optimizer_template import serialized
from keras_ff.utils.devices import on_device


class _OptimizerOfVariable:
    """Maps a variable to the optimizer of the layer it belongs to."""

    def __init__(self, owners):
        self.owners = owners

    def values(self):
        return [owner.optimizer for owner in self.owners]

    def __call__(self, variable):
        for owner in self.owners:
            if any(variable is own for own in owner.trainable_variables):
                return owner.optimizer
        raise ValueError(f"No layer owns the variable {variable.path!r}.")


class LayerOptimizers(keras.optimizers.MultiOptimizer):
    """The optimizers of all layers as one, for callbacks, saving and mixed precision.

    The layers step with their own optimizers, which `optimizers` lists; this object builds them,
    is saved with the model, and counts the steps of the model as a whole.

    Args:
        owners: list of layers, each with an `optimizer` of its own.
        devices: names of the devices of the first of them, `None` for the default one.
    """

    def __init__(self, owners, devices):
        super().__init__(_OptimizerOfVariable(owners), name="layer_optimizers")
        self._placed = list(zip(owners, devices, strict=False))

    @property
    def owners(self):
        """The layers whose optimizers these are."""
        return self._optimizer_map.owners

    def build(self, var_list):
        if self.built:
            return
        for owner, device in self._placed:
            if device is not None:
                with on_device(device):
                    owner.optimizer.build(owner.trainable_variables)
        super().build(var_list)
        for optimizer in self.optimizers:
            if optimizer.use_ema:
                if not optimizer.built:
                    # Of a frozen layer there is nothing to average: Keras, which leaves such an
                    # optimizer as it is, asks it for its averages all the same.
                    optimizer.build([])
                # Keras starts averages at zero and corrects them at the first step, which a layer
                # that waits for its turn has not taken when averages are swapped in.
                averages = optimizer._model_variables_moving_average
                for variable, average in zip(optimizer._trainable_variables, averages, strict=True):
                    average.assign(variable)

    def apply(self, grads, trainable_variables=None):
        """Apply the gradients of some layers' variables; Keras's own wants all of them."""
        steps = {}
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            steps.setdefault(id(self._optimizer_map(variable)), []).append((gradient, variable))
        for optimizer in self.optimizers:
            if id(optimizer) in steps:
                optimizer.apply(*map(list, zip(*steps[id(optimizer)], strict=True)))
        self._iterations.assign_add(1)

    @contextlib.contextmanager
    def step(self):
        """A step of the model, within which layers step by themselves; TensorBoard counts it."""
        yield
        self._iterations.assign_add(1)

    def get_config(self):
        return {"optimizers": [serialized(inner) for inner in self.optimizers]}
