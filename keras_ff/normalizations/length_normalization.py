"""Length normalisation: a layer sees only the direction of its inputs."""

import keras
from keras import ops

from keras_ff.backends import reductions
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class LengthNormalization(keras.layers.Layer):
    """Scales every sample to mean square 1, so that its length (its goodness) is gone.

    `y = x / √(mean(x²) + ε)`, the mean over all axes but the batch (Hinton 2022, §2.1), or over
    those of `axis`: with `axis=-1` every position or token is normalised by itself, and none of
    them keeps a length. Computed in float32 under every dtype policy.

    Args:
        center: boolean. Whether the mean is subtracted first; activations with an offset
            (sigmoid) would leave a constant otherwise. Defaults to `False`.
        axis: integer, tuple of integers, or `None`: the axes that are normalised together, never
            the batch axis. Defaults to `None`: all but the batch.
        epsilon: float above 0. Keeps silent samples at zero. Defaults to `1e-8`.

    Call arguments:
        inputs: tensor of shape (batch, ...).

    Returns:
        Tensor of the same shape, in the layer's compute dtype.

    Raises:
        ValueError: if `epsilon` is not above 0, or `axis` names the batch axis, an axis that the
            inputs do not have, or one twice.

    Example:

    >>> import numpy as np
    >>> print(np.array(LengthNormalization()(np.array([[3.0, 3.0]]))))
    [[1. 1.]]
    >>> tokens = np.array([[[3.0, 3.0], [0.1, -0.1]]])
    >>> print(np.array(LengthNormalization(axis=-1)(tokens)).round(3))
    [[[ 1.  1.]
      [ 1. -1.]]]
    """

    def __init__(self, center=False, axis=None, epsilon=1e-8, **kwargs):
        # Squares of what fits into float16 need not fit themselves.
        super().__init__(autocast=False, **kwargs)
        self.center = bool(center)
        self.axis = _checked_axis(axis)
        self.epsilon = checks.positive_number(epsilon, "epsilon")
        self.built = True

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        axes = self._axes(x.shape)
        if self.center:
            x = x - reductions.mean(x, axes, keepdims=True)
        return ops.cast(x * self._factor(x, axes), self.compute_dtype)

    def _factor(self, x, axes):
        mean_square = reductions.mean(ops.square(x), axes, keepdims=True)
        return ops.rsqrt(mean_square + self.epsilon)

    @property
    def is_one_factor(self):
        """Whether all there is to it is one factor per sample, so that products commute with it."""
        return self.axis is None and not self.center

    def factor(self, inputs, rank):
        """The factor of every sample: float32 tensor of shape (batch, 1, ...) and of `rank`."""
        x = ops.cast(inputs, "float32")
        factor = self._factor(x, self._axes(x.shape))
        return ops.reshape(factor, (-1,) + (1,) * (rank - 1))

    def _axes(self, shape):
        """The axes of inputs of this shape that are normalised together."""
        rank = len(shape)
        if self.axis is None:
            return tuple(range(1, rank))
        given = (self.axis,) if isinstance(self.axis, int) else self.axis
        axes = tuple(axis % rank for axis in given if -rank <= axis < rank)
        if len(set(axes)) != len(given) or 0 in axes:
            raise ValueError(
                f"`axis` must name axes out of 1 to {rank - 1}, each once: inputs have {rank} "
                "axes, and the first is the batch. "
                f"Received: axis={self.axis!r}, inputs of shape {tuple(shape)}"
            )
        return axes

    def compute_output_shape(self, input_shape):
        self._axes(input_shape)
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "center": self.center,
            "axis": list(self.axis) if isinstance(self.axis, tuple) else self.axis,
            "epsilon": self.epsilon,
        }


def _checked_axis(axis):
    """`axis` as an integer, a tuple or `None`; more is known once there are inputs."""
    given = axis if isinstance(axis, (list, tuple)) else () if axis is None else (axis,)
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in given)
    if not whole or 0 in given or (axis is not None and not given):
        raise ValueError(
            "`axis` must be an integer, a tuple of integers or None, without 0, the batch axis. "
            f"Received: axis={axis!r}"
        )
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis
