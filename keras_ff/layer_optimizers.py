"""One optimizer a layer, seen by Keras as the one `model.optimizer`."""

import copy
import math

import keras
from keras import ops

from keras_ff import backends
from keras_ff.devices import on_device

# Below, a compiled update saves less than it takes to compile.
LEAST_WEIGHTS = 10_000


def update(optimizer, gradients, variables):
    """Apply gradients; where there are many weights, in one compiled kernel.

    Keras's Adam reads and writes memory operation by operation, which takes 11 ms for 2000 × 2000
    weights; compiled it takes 4.

    Args:
        optimizer: a Keras optimizer that is built for the variables, or what gathers for one.
        gradients, variables: lists, one gradient a variable.
    """

    def apply(*gradients):
        given = [
            None if gradient is None else ops.cast(gradient, variable.dtype)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        optimizer.apply(given, variables)

    many = sum(math.prod(variable.shape) for variable in variables) >= LEAST_WEIGHTS
    plain = not isinstance(optimizer, keras.optimizers.Optimizer) or not optimizer.built
    if plain or not many or not backends.can_fuse(gradients):
        apply(*gradients)
    else:
        backends.fused(apply)(*gradients)


class OptimizerTemplate:
    """A plain optimizer as given by a user, of which every layer gets a copy.

    Args:
        optimizer: a Keras optimizer, by name, object or configuration, or `None`, of which there
            are no copies.
    """

    def __init__(self, optimizer):
        if optimizer is not None:
            if isinstance(optimizer, dict):  # which Keras would change
                optimizer = copy.deepcopy(optimizer)
            optimizer = keras.optimizers.get(optimizer)
        wrappers = (keras.optimizers.MultiOptimizer, keras.optimizers.LossScaleOptimizer)
        if isinstance(optimizer, wrappers):
            raise ValueError(
                "Every FF layer gets a copy of the optimizer; pass a plain one, such as "
                f"keras.optimizers.Adam(). Received: {type(optimizer).__name__}"
            )
        self.optimizer = optimizer

    def __bool__(self):
        return self.optimizer is not None

    def copy(self, name=None):
        """A new optimizer without state, or `None`."""
        if self.optimizer is None:
            return None
        config = self.optimizer.get_config()
        rate = self.optimizer._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            # The object itself: a schedule of a user's own need not be registered to train.
            config["learning_rate"] = rate
        return type(self.optimizer).from_config({**config, "name": name or config["name"]})

    def get_config(self):
        """Configuration of the optimizer, or `None`."""
        return None if self.optimizer is None else keras.optimizers.serialize(self.optimizer)


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

    def begin_step(self):
        """What the layers step with in place of their own optimizers: nothing."""
        return None

    def end_step(self, gathering):
        """Count a step of the model; TensorBoard and others go by it."""
        del gathering
        self._iterations.assign_add(1)

    def get_config(self):
        return {
            "optimizers": [keras.optimizers.serialize(inner) for inner in self.optimizers],
        }


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
