"""MeanOfSquares: the mean of squared activities."""

from keras import ops

from keras_ff.backends import reductions
from keras_ff.goodness.base import Goodness
from keras_ff.utils.registry import registered


@registered
class MeanOfSquares(Goodness):
    """Mean of squared activities: `G = scale · mean (y − center)²`.

    `SumOfSquares` divided by the number of activities, so that thresholds and alphas do not
    depend on a layer's width.

    Call arguments:
        activities: tensor of shape (batch, ...), any float dtype.

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if `scale` is not above 0 or a parameter is not finite.

    Example:

    >>> import numpy as np
    >>> goodness = MeanOfSquares(scale=2.0)
    >>> print(np.array(goodness(np.array([[1.0, 2.0]]))))
    [5.]
    """

    def measure(self, activities, axes):
        return reductions.mean(ops.square(activities), axes)

    def unit(self, activities_shape):
        return self.scale
