"""The TensorFlow backend: a gradient tape a layer, and Keras's step functions."""

import functools

import keras
import tensorflow as tf
from keras import ops


def auxiliary_and_gradients(function, variables, tensors=()):
    """Call `function` under a tape that watches `variables`, `tensors`, and nothing else.

    Args:
        function: takes nothing, returns a scalar loss and anything besides.
        variables: list of Keras variables.
        tensors: list of tensors. Defaults to none.

    Returns:
        What `function` returned besides the loss, and a list with the gradient of the loss by
        each tensor and then each variable (`None` where it has no part in the loss).
    """
    watched = [*tensors, *[variable.value for variable in variables]]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)
        loss, auxiliary = function()
    return auxiliary, tape.gradient(loss, watched)


def pull_back(function, kernel, delta):
    """The gradient by `kernel` from that by `function(kernel)`; see the seam's documentation."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(kernel)
        product = function(kernel)
    return tape.gradient(product, kernel, delta)


def can_fuse(tensors=()):
    """Whether functions of tensors may be compiled into kernels here."""
    return (
        tf.inside_function()  # a user who runs eagerly wants to look inside
        and not tf.distribute.has_strategy()
        and all(isinstance(tensor, tf.Tensor) for tensor in tensors)
    )


def fused(function):
    """A function of tensors as one kernel, made by XLA; for element-wise work."""
    return tf.function(function, jit_compile=True, autograph=False)


def shared(function, variables):
    """A function that is traced and compiled once and works on variables that are given to it.

    Args:
        function: from tensors to tensors, which reads and assigns Keras variables.
        variables: list of these.

    Returns:
        A function of variables that take their places, in the same order, and of tensors.
    """

    # Kept in one piece: put in the place of each of its calls, it would be compiled there.
    @tf.function(autograph=False, experimental_attributes={"_noinline": True})
    def standing_in(given, *tensors):
        own = [variable._value for variable in variables]
        try:
            for variable, value in zip(variables, given, strict=True):
                variable._value = value
            return function(*tensors)
        finally:
            for variable, value in zip(variables, own, strict=True):
                variable._value = value

    return lambda given, *tensors: standing_in([one._value for one in given], *tensors)


def compiled(function, variables=tuple):
    """A function of tensors that is compiled when it is first called."""
    del variables  # found by TensorFlow itself
    return tf.function(function, reduce_retracing=True)


def choose(condition, ways):
    """What the first of two functions answers where `condition` holds, else the second."""
    return ops.cond(condition, *ways)


def numpy_function(function, inputs, shape):
    """Call a function on arrays from within a graph.

    Args:
        function: from a float32 array to one of `shape`.
        inputs: tensor.
        shape: shape of the answer, the first axis `None` where it is not known.

    Returns:
        float32 tensor of that shape, without a gradient.
    """
    answer = tf.numpy_function(function, [tf.cast(inputs, tf.float32)], tf.float32)
    answer.set_shape(shape)
    return tf.stop_gradient(answer)


def input_gradient(function, inputs):
    """Gradient of the sum of `function(inputs)` by `inputs`, and by nothing else.

    Args:
        function: takes a tensor, returns a tensor of any shape.
        inputs: float tensor.

    Returns:
        Tensor of `inputs`' shape and dtype; 0 where `inputs` has no part in the result.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        result = function(inputs)
    return tape.gradient(result, inputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def outside_graph():
    """A context in which variables are created and assigned at once, while a graph is traced."""
    return tf.init_scope()


KEEPS_TENSORS = True


class Trainer:
    """Hands Keras's training and test steps to the model."""

    def train_step(self, data):
        return self.learn_from(*keras.utils.unpack_x_y_sample_weight(data))

    def test_step(self, data):
        return self.score_on(*keras.utils.unpack_x_y_sample_weight(data))

    def make_train_function(self, force=False):
        pipeline = self.make_pipeline(force)
        if pipeline is None:
            return super().make_train_function(force)
        if self.train_function is None or force:
            self.train_function = functools.partial(pipeline.train, self.steps_per_execution)
        return self.train_function
