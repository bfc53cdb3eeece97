"""The PyTorch backend: gradients by autograd, each of one layer's loss, and eager steps.

Nothing is recorded for a gradient but what `value_and_grad` and `input_gradient` call: training and
scoring run without, so that no layer's history is kept.
"""

import contextlib
import functools
import math
import warnings

import keras
import torch
from keras import ops, tree
from torch.optim.adam import adam

from keras_ff.backends import building


def value_and_grad(function, variables, tensors=()):
    """Call `function` and differentiate its loss by `variables`; see the TensorFlow backend."""
    if tensors:
        raise ValueError("Under PyTorch gradients are by variables. Received: tensors beside them")
    values = [variable.value for variable in variables]
    with torch.enable_grad():
        loss, auxiliary = function()
    gradients = [None] * len(values)
    if values and loss.requires_grad:
        gradients = torch.autograd.grad(loss, values, allow_unused=True)
    return tree.map_structure(_detached, (loss, auxiliary)), list(gradients)


def _detached(value):
    """What holds nothing of the computation that it comes from."""
    return value.detach() if isinstance(value, torch.Tensor) else value


def input_gradient(function, inputs):
    """Gradient of the sum of `function(inputs)` by `inputs`; 0 where they have no part in it."""
    inputs = ops.convert_to_tensor(inputs).detach().requires_grad_()
    with torch.enable_grad():
        total = ops.sum(function(inputs))
    if not total.requires_grad:
        return torch.zeros_like(inputs)
    (gradient,) = torch.autograd.grad(total, [inputs], allow_unused=True, materialize_grads=True)
    return gradient


def can_fuse(tensors=()):
    """Never: steps are eager."""
    del tensors
    return False


def is_fusing():
    """Never, as nothing is fused."""
    return False


def is_on_processors():
    """Whether this machine computes without a GPU."""
    return not torch.cuda.is_available()


def devices():
    """Names of this machine's devices, as under the other backends."""
    return [f"gpu:{index}" for index in range(torch.cuda.device_count())] or ["cpu:0"]


rounded = ops.cast
# Called where `can_fuse` holds, and nowhere else.
bias_add = compile_once = control_dependency = fused = sums_biases = vjp = None


@contextlib.contextmanager
def updating(optimizer):
    """Within it Adam's update is one kernel of PyTorch's: a third of Keras's memory traffic."""
    fits = isinstance(optimizer, keras.optimizers.Adam) and not optimizer.amsgrad
    if not fits or not is_on_processors():
        yield
        return
    vars(optimizer)["_parallel_update_step"] = functools.partial(_adam_step, optimizer)
    try:
        yield
    finally:
        del vars(optimizer)["_parallel_update_step"]


def _adam_step(optimizer, gradients, variables, learning_rate):
    """Keras's update, whose epsilon is added to a root that is not corrected for its bias."""
    places = [optimizer._get_variable_index(variable) for variable in variables]
    done = float(optimizer.iterations)
    adam(
        [variable.value for variable in variables],
        [gradient.contiguous() for gradient in gradients],
        [optimizer._momentums[place].value for place in places],
        [optimizer._velocities[place].value for place in places],
        [],
        [torch.tensor(done) for _ in places],
        fused=True,
        amsgrad=False,
        beta1=optimizer.beta_1,
        beta2=optimizer.beta_2,
        lr=float(learning_rate),
        weight_decay=0.0,
        eps=optimizer.epsilon / math.sqrt(1 - optimizer.beta_2 ** (done + 1)),
        maximize=False,
    )


def compiled(function, variables=tuple):
    """The function, which runs eagerly and needs no gradient."""
    del variables
    return torch.no_grad()(function)


def cond(condition, branches):
    """The result of the first of two functions where `condition` holds, else of the second."""
    return ops.cond(condition, *branches)


def numpy_function(function, inputs, shape):
    """Call a function on float32 arrays; see the TensorFlow backend."""
    if inputs.is_meta:  # shapes are being found out
        shape = (inputs.shape[0] if shape[0] is None else shape[0], *shape[1:])
        return torch.empty(shape, device="meta")
    outputs = function(ops.convert_to_numpy(ops.cast(inputs, "float32")))
    return ops.convert_to_tensor(outputs, "float32")


def random_bits(shape, seed):
    """Tensor of random numbers below 2¹⁶ from a seed; int32, for want of uint16 in PyTorch."""
    generator = torch.Generator(device=seed.device).manual_seed(int(seed.sum()) & 0xFFFFFFFF)
    return torch.randint(
        2**16, tuple(shape), generator=generator, dtype=torch.int32, device=seed.device
    )


def init_scope():
    """Nothing: variables are created before a step."""
    return contextlib.nullcontext()


class DataParallel:
    """Refused."""

    def __init__(self, across_workers):
        raise ValueError(
            "Under PyTorch training runs on one device; for several use KERAS_BACKEND=tensorflow "
            f"or KERAS_BACKEND=jax. Received: distribution={DISTRIBUTIONS[across_workers]!r}"
        )


DISTRIBUTIONS = {False: "devices", True: "workers"}


# One device has the whole batch.


def spread(rows):
    """The same rows."""
    return rows


def is_replicated():
    """Never."""
    return False


def all_gather(rows):
    """The rows of the whole batch."""
    return rows


def own_rows(rows, size, streams=1):
    """The rows of the whole batch."""
    del size, streams
    return rows


def all_reduce_sum(tensor):
    """What is computed of the whole batch already."""
    return tensor


def share(size):
    """All of the batch."""
    del size
    return 1.0


def keeps_tensors(model):
    """Always: steps are eager."""
    del model
    return True


def kept(rows):
    """A tensor that holds rows of such a shape, as many as there may be, and takes others."""
    rows = rows.detach()
    rows.assign = lambda others: rows.set_(others.detach().clone())
    return rows


class Layer:
    """A layer whose method `forward` is not the one by which PyTorch calls a module."""

    _call_impl = keras.Operation.__call__


class Trainer:
    """Keras's training and test steps, which call those of the model."""

    def compile(self, *args, jit_compile="auto", **kwargs):
        """As in Keras, but steps stay eager, in which PyTorch finds hundreds of small functions."""
        if jit_compile is True:
            warnings.warn(
                "Under PyTorch the steps of an FFModel are not compiled: that would take minutes. "
                "Received: jit_compile=True",
                stacklevel=3,
            )
        super().compile(*args, jit_compile=False, **kwargs)

    def train_step(self, data):
        with torch.no_grad():
            return self.train_on(*_tensors(data))

    def test_step(self, data):
        with torch.no_grad():
            return self.test_on(*_tensors(data))

    def make_train_function(self, force=False):
        runner = self._fitting.start(self, force)
        if runner is None:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = lambda batches: runner.train(len(batches), iter(batches))
        return self.train_function

    def _symbolic_build(self, iterator=None, data_batch=None):
        building.make_variables(self, iterator, data_batch)


def _tensors(data):
    """Samples, labels and weights of a batch as tensors."""
    x, *others = keras.utils.unpack_x_y_sample_weight(data)
    x = tuple(x) if isinstance(x, list) else x  # by which PyTorch replaces a dataset's tuple
    return tree.map_structure(ops.convert_to_tensor, (x, *others), none_is_leaf=False)
