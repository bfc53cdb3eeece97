"""Opaque: any function on arrays as a layer between FF layers."""

import keras
import numpy as np

from keras_ff import backends
from keras_ff.utils.registry import registered


@registered
class Opaque(keras.layers.Layer):
    """Applies a numpy function; no gradient passes, and between FF layers none has to.

    For quantisers, table look-ups, measured hardware: whatever maps a batch of activities to
    another. The function leaves Keras's graph, so that a step waits for it.

    Args:
        function: callable from a float32 array of shape (batch, ...) to an array of shape
            (batch, ...), one row per sample. For models that are to be saved, a `def` under
            `@keras.saving.register_keras_serializable()`.

    Call arguments:
        inputs: tensor of shape (batch, ...).

    Returns:
        float32 tensor of the shape that the function gives.

    Raises:
        ValueError: if `function` is not callable, or does not give one row per sample; when saved,
            if it has no name to be saved by.

    Example:

    >>> import numpy as np
    >>> layer = Opaque(np.round)
    >>> print(np.array(layer(np.array([[0.2, 0.7]]))))
    [[0. 1.]]
    """

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        if isinstance(function, dict):
            function = keras.saving.deserialize_keras_object(function)
        if not callable(function):
            raise ValueError(
                f"`function` must be callable on numpy arrays. Received: function={function!r}"
            )
        self.function = function
        self.supports_jit = False  # XLA has no way out of its graph

    def call(self, inputs):
        shape = self.compute_output_shape(inputs.shape)
        return backends.numpy_function(self._on_array, inputs, shape)

    def _on_array(self, array):
        return np.asarray(self.function(np.asarray(array, "float32")), "float32")

    def compute_output_shape(self, input_shape):
        rows = 2  # one could be a sum over the batch as well
        outputs = self._on_array(np.zeros((rows, *input_shape[1:]), "float32"))
        if outputs.ndim == 0 or len(outputs) != rows:
            raise ValueError(
                "The function must give one row per sample. Received: an array of shape "
                f"{outputs.shape} for inputs of shape {(rows, *input_shape[1:])}"
            )
        return (input_shape[0], *outputs.shape[1:])

    def get_config(self):
        try:
            function = keras.saving.serialize_keras_object(self.function)
        except (AttributeError, TypeError) as error:
            raise ValueError(
                f"The function of layer {self.name!r} has no name to be saved by: write it as a "
                "`def` under `@keras.saving.register_keras_serializable()`. "
                f"Received: function={self.function!r}"
            ) from error
        return {**super().get_config(), "function": function}
