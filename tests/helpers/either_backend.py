"""Gradients and graphs as tests need them, under whichever backend they run."""

import functools
from unittest import mock

import keras
import pytest
from keras import ops

from keras_ff import backends

# Whether steps are traced and compiled; under PyTorch they run eagerly.
COMPILES = keras.backend.backend() != "torch"

# Values of `in_graph`'s `jit_compile`.
KINDS_OF_GRAPHS = [
    False,
    pytest.param(True, marks=pytest.mark.tensorflow("others have one kind of function")),
]


def to_numpy(gradient):
    """A gradient as an array; `None` stays."""
    return None if gradient is None else ops.convert_to_numpy(gradient)


def value_and_gradients(function, *points):
    """What a function of tensors answers, and the gradients of the sum of that.

    Args:
        function: takes a tensor for each array among the points, returns a tensor.
        points: arrays, which become float32, tensors, and Keras variables, which the function
            reads by itself.

    Returns:
        The answer, and a list with an array for each point: the gradient by it, or `None` where
        it has no part in the answer.
    """
    variables = [_variable(point) for point in points]

    def objective():
        pairs = zip(variables, points, strict=True)
        given = [ops.convert_to_tensor(own) for own, point in pairs if own is not point]
        answer = function(*given)
        return ops.sum(answer), answer

    (_, answer), gradients = backends.value_and_grad(objective, variables)
    return answer, [to_numpy(gradient) for gradient in gradients]


def _variable(point):
    if isinstance(point, keras.Variable):
        return point
    known = ops.is_tensor(point)
    dtype = keras.backend.standardize_dtype(point.dtype) if known else "float32"
    return keras.Variable(point, dtype=dtype)


def gradient_table(function, variables):
    """The gradient of each of the tensors that a function lists, by each variable.

    Args:
        function: takes nothing, returns a list of tensors. What it assigns under JAX is
            forgotten.
        variables: list of Keras variables.

    Returns:
        A list for each tensor, with an array for each variable: the gradient of the tensor's sum,
        or `None` where the variable has no part in it, or under JAX a gradient of zero.
    """
    if keras.backend.backend() == "jax":
        return _table_under_jax(function, variables)
    if keras.backend.backend() == "torch":
        return _table_under_torch(function, variables)
    import tensorflow as tf

    watched = [variable.value for variable in variables]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(watched)
        answers = function()
    return [[to_numpy(one) for one in tape.gradient(answer, watched)] for answer in answers]


def _table_under_jax(function, variables):
    import jax

    def sums(values):
        state = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state, collect_losses=True):
            return [ops.sum(answer) for answer in function()]

    answers, pull_back = jax.vjp(sums, [variable.value for variable in variables])
    table = []
    for chosen in range(len(answers)):
        one = [ops.full_like(answer, chosen == k) for k, answer in enumerate(answers)]
        found = [to_numpy(gradient) for gradient in pull_back(one)[0]]
        # JAX does not tell what has no part from what has a gradient of zero.
        table.append([gradient if gradient.any() else None for gradient in found])
    return table


def _table_under_torch(function, variables):
    import torch

    values = [variable.value for variable in variables]
    keeping = functools.partial(torch.autograd.grad, retain_graph=True)
    # The layers' own gradients leave what they are computed from, and steps do not overwrite it.
    with (
        torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda copy: copy),
        mock.patch.object(torch.autograd, "grad", keeping),
        mock.patch.object(backends.chosen, "_detached", lambda value: value),
        torch.enable_grad(),
    ):
        sums = [ops.sum(answer) for answer in function()]
    nothing = [None] * len(values)
    table = [
        keeping(one, values, allow_unused=True) if one.requires_grad else nothing for one in sums
    ]
    return [[to_numpy(gradient) for gradient in row] for row in table]


def is_traced(tensor):
    """Whether a tensor is one of a graph or program, without values."""
    if keras.backend.backend() == "jax":
        import jax

        return isinstance(tensor, jax.core.Tracer)
    if keras.backend.backend() == "torch":
        return False
    return not hasattr(tensor, "numpy")


def in_graph(function, *signature, layer=None, jit_compile=None):
    """A function of tensors, compiled: under TensorFlow once for batches of any size.

    Args:
        function: from tensors to tensors.
        signature: the shape and dtype of each tensor, such as `((None, 5), "float32")`.
        layer: Keras layer whose variables the function reads or assigns.
        jit_compile: whether TensorFlow compiles its graph by XLA, as JAX always does.
    """
    if keras.backend.backend() == "jax":
        return backends.compiled(function, lambda: layer.variables if layer else [])
    if keras.backend.backend() == "torch":
        return function
    import tensorflow as tf

    specification = [tf.TensorSpec(shape, dtype) for shape, dtype in signature]
    return tf.function(function, input_signature=specification, jit_compile=jit_compile)
