"""The TensorFlow backend: a gradient tape a layer, and Keras's step functions."""

import keras
import tensorflow as tf


def auxiliary_and_gradients(function, variables):
    """Call `function` under a tape that watches `variables` and nothing else.

    Args:
        function: takes nothing, returns a scalar loss and anything besides.
        variables: list of Keras variables.

    Returns:
        What `function` returned besides the loss, and a list with the gradient of the loss by
        each variable (`None` where it has no part in the loss).
    """
    watched = [variable.value for variable in variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(watched)
        loss, auxiliary = function()
    return auxiliary, tape.gradient(loss, watched)


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


class Trainer:
    """Hands Keras's training and test steps to the model."""

    def train_step(self, data):
        return self.learn_from(*keras.utils.unpack_x_y_sample_weight(data))

    def test_step(self, data):
        return self.score_on(*keras.utils.unpack_x_y_sample_weight(data))
