"""Length normalisation: what a layer sees of its input is its direction alone."""

import keras
from keras import ops

from keras_ff import parts
from keras_ff.parts import registered


@registered
class LengthNormalization(keras.layers.Layer):
    """Scales every sample to mean square 1, so that its length (its goodness) is gone.

    `y = x / √(mean(x²) + ε)`, the mean over all axes but the batch (Hinton 2022, §2.1). Computed
    in float32 under every dtype policy.

    Args:
        center: boolean. Whether the sample's mean is subtracted first; activations with an offset
            (sigmoid) hand on a constant otherwise. Defaults to `False`.
        epsilon: float above 0. Keeps silent samples at zero. Defaults to `1e-8`.

    Call arguments:
        inputs: tensor of shape (batch, ...).

    Returns:
        Tensor of the same shape, in the layer's compute dtype.

    Raises:
        ValueError: if `epsilon` is not above 0.

    Example:

    >>> import numpy as np
    >>> print(np.array(LengthNormalization()(np.array([[3.0, 3.0]]))))
    [[1. 1.]]
    """

    def __init__(self, center=False, epsilon=1e-8, **kwargs):
        # Squares of what fits into float16 need not fit themselves.
        super().__init__(autocast=False, **kwargs)
        self.center = bool(center)
        self.epsilon = parts.positive_number(epsilon, "epsilon")
        self.built = True

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        axes = tuple(range(1, len(x.shape)))
        if self.center:
            x = x - ops.mean(x, axis=axes, keepdims=True)
        mean_square = ops.mean(ops.square(x), axis=axes, keepdims=True)
        return ops.cast(x * ops.rsqrt(mean_square + self.epsilon), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "center": self.center, "epsilon": self.epsilon}
