"""MeanActivity: the mean of the activities themselves."""

from keras_ff.backends import reductions
from keras_ff.goodness.base import Goodness
from keras_ff.utils.registry import registered


@registered
class MeanActivity(Goodness):
    """Mean of the activities themselves: `G = scale · mean (y − center)`.

    For activations that are not negative, such as ReLU (Li and Chen, §A.4; Sun et al. 2025).

    Call arguments:
        activities: tensor of shape (batch, ...), any float dtype.

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if `scale` is not above 0 or a parameter is not finite.

    Example:

    >>> import numpy as np
    >>> goodness = MeanActivity()
    >>> print(np.array(goodness(np.array([[1.0, 2.0]]))))
    [1.5]
    """

    def measure(self, activities, axes):
        return reductions.mean(activities, axes)

    def unit(self, activities_shape):
        return self.scale
