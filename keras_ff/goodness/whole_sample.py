"""Goodness of a whole sample: the sum or mean of squared activities, or their mean."""

import math

from keras import ops

from keras_ff.backends import reductions
from keras_ff.utils import checks, registry
from keras_ff.utils.registry import registered


class Goodness(registry.Part):
    """Base of the goodness functions: `goodness(activities)` gives one value per sample.

    Args:
        scale: float above 0, multiplies the goodness. Bounded activations (tanh, sigmoid) need it
            where the loss is logistic with a threshold that their activities cannot reach.
            Defaults to `1.0`.
        center: float, subtracted from every activity first, for activations with an offset such
            as sigmoid (0.5). Defaults to `0.0`.
    """

    # Whether there is one value per class, rather than one per sample.
    per_class = False
    # Whether it takes part in scores.
    scores = True

    def __init__(self, scale=1.0, center=0.0):
        self.scale = checks.positive_number(scale, "scale")
        self.center = checks.finite_number(center, "center")

    def __call__(self, activities):
        axes = tuple(range(1, len(activities.shape)))
        return self.scale * self.measure(self.centered(activities), axes)

    def centered(self, activities):
        """Activities less the center, in float32."""
        activities = ops.cast(activities, "float32")
        return activities - self.center if self.center else activities

    def measure(self, activities, axes):
        """Goodness of centered activities, reduced over `axes`, not scaled yet."""
        raise NotImplementedError

    def unit(self, activities_shape):
        """Goodness of activities that are all one unit away from the center.

        Thresholds and alphas that are not given are set on this scale, so that they fit sums and
        means, narrow layers and wide ones alike.

        Args:
            activities_shape: shape of a layer's activities, batch axis first.

        Returns:
            A float.
        """
        raise NotImplementedError

    def get_config(self):
        return {"scale": self.scale, "center": self.center}


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
