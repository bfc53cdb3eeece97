"""SumOfSquares: the sum of squared activities."""

import math

from keras import ops

from keras_ff.backends import reductions
from keras_ff.goodness.base import Goodness
from keras_ff.utils.registry import registered


@registered
class SumOfSquares(Goodness):
    """Sum of squared activities: `G = scale · Σ (y − center)²` (Hinton 2022, §2).

    Call arguments:
        activities: tensor of shape (batch, ...), any float dtype.

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if `scale` is not above 0 or a parameter is not finite.

    Example:

    >>> import numpy as np
    >>> goodness = SumOfSquares()
    >>> print(np.array(goodness(np.array([[1.0, 2.0]]))))
    [5.]
    """

    def measure(self, activities, axes):
        return reductions.sum(ops.square(activities), axes)

    def unit(self, activities_shape):
        return self.scale * math.prod(activities_shape[1:])
