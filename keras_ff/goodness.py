"""Goodness: one figure a sample that says how strongly a layer responds.

Goodness is measured on a layer's activities before they are normalised, in float32 under every
dtype policy, over all axes but the batch.
"""

import math

import keras
from keras import ops

from keras_ff import lanes, parts
from keras_ff.local_classifier import LocalClassifier
from keras_ff.parts import registered


class Goodness(parts.Part):
    """Base of the goodness functions: `goodness(activities)` gives one figure a sample.

    Args:
        scale: float above 0, multiplies the figure. Bounded activations (tanh, sigmoid) need it
            where the loss is logistic with a threshold that their activities cannot reach.
            Defaults to `1.0`.
        center: float, subtracted from every activity first, for activations with an offset such
            as sigmoid (0.5). Defaults to `0.0`.
    """

    # Whether there is one figure a class, rather than one a sample.
    per_class = False

    def __init__(self, scale=1.0, center=0.0):
        self.scale = parts.positive_number(scale, "scale")
        self.center = parts.finite_number(center, "center")

    def __call__(self, activities, axes=None):
        """The figure over `axes`, a tuple of integers; by default over all but the batch."""
        activities = ops.cast(activities, "float32")
        if self.center:
            activities = activities - self.center
        axes = tuple(range(1, len(activities.shape))) if axes is None else axes
        return self.scale * self.measure(activities, axes)

    def measure(self, activities, axes):
        """The figure of centred float32 activities, reduced over `axes`."""
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
        return lanes.sum(ops.square(activities), axes)

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
        return lanes.mean(ops.square(activities), axes)

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
        return lanes.mean(activities, axes)

    def unit(self, activities_shape):
        return self.scale


# Of which the figure of a whole is the mean of those of its parts, each in its own unit.
ADDITIVE = (SumOfSquares, MeanOfSquares, MeanActivity)


@registered
class ClassGroups(parts.Part):
    """Goodness of each class's own group of units or channels: one logit a class.

    The last axis is divided into as many groups of neighbours as there are classes; group k's
    goodness, over its units and all positions, is class k's logit: `G_k = scale · g(y_group k)`
    (Papachristodoulou et al. 2024; Sun et al. 2025). The layer's loss is then a cross-entropy,
    and there are no negatives.

    Args:
        of: name or object of `keras_ff.goodness` without groups: what is measured in a group.
            Defaults to `"mean_activity"`.
        scale: float above 0, multiplies the logits; means of activities differ by only 0.01 to
            0.1 between classes at the start. Defaults to `10.0`.
        num_classes: integer, needed where the goodness stands alone; a model tells its layers.
            Defaults to `None`.

    Call arguments:
        activities: tensor of shape (batch, ..., units).
        num_classes: integer, in place of the configured one.

    Returns:
        float32 tensor of shape (batch, num_classes).

    Raises:
        ValueError: if the units are not divided by the number of classes, or that is not known.

    Example:

    >>> import numpy as np
    >>> goodness = ClassGroups(scale=1.0, num_classes=2)
    >>> print(np.array(goodness(np.array([[1.0, 2.0, 3.0, 5.0]]))))
    [[1.5 4. ]]
    """

    per_class = True

    def __init__(self, of="mean_activity", scale=10.0, num_classes=None):
        self.of = get(of)
        if not isinstance(self.of, Goodness):
            raise ValueError(f"Groups of groups are no goodness. Received: of={of!r}")
        self.scale = parts.positive_number(scale, "scale")
        self.num_classes = num_classes

    def __call__(self, activities, num_classes=None):
        num_classes = num_classes or self.num_classes
        self.check(activities.shape, num_classes)
        if type(self.of) in ADDITIVE and lanes.apply_to_groups(activities, num_classes):
            return self.scale * self._by_lanes(activities, num_classes)
        group = activities.shape[-1] // num_classes
        groups = ops.reshape(activities, (-1, *activities.shape[1:-1], num_classes, group))
        groups = ops.moveaxis(groups, -2, 1)
        positions = (-1, *groups.shape[2:])
        figures = self.of(ops.reshape(groups, positions))
        return self.scale * ops.reshape(figures, (-1, num_classes))

    def _by_lanes(self, activities, num_classes):
        """Figures of groups, from those of lanes; see `keras_ff.lanes`."""
        groups = lanes.ChannelGroups(activities.shape, num_classes)
        means = groups.means(self.of(groups.fold(activities), axes=(1,)))
        return means * (self.of.unit((None, groups.size)) / self.of.unit((None, groups.rows)))

    def unit(self, activities_shape):
        """Goodness has no threshold here, so its unit is one."""
        del activities_shape
        return 1.0

    @staticmethod
    def check(activities_shape, num_classes):
        """Raise ValueError where the last axis cannot be divided among the classes."""
        if num_classes is None:
            raise ValueError(
                "ClassGroups that stand alone must be told the number of classes, "
                "ClassGroups(num_classes=10). Received: num_classes=None"
            )
        width = activities_shape[-1]
        if width % num_classes or not width:
            below = width // num_classes * num_classes
            choices = [str(choice) for choice in (below, below + num_classes) if choice]
            raise ValueError(
                f"A width of {width} cannot be divided among {num_classes} classes; "
                f"{' or '.join(choices)} can. Received: activities of shape "
                f"{tuple(activities_shape)}"
            )

    def get_config(self):
        return {
            "of": keras.saving.serialize_keras_object(self.of),
            "scale": self.scale,
            "num_classes": self.num_classes,
        }


KNOWN = {
    "sum_of_squares": SumOfSquares,
    "mean_of_squares": MeanOfSquares,
    "mean_activity": MeanActivity,
    "class_groups": ClassGroups,
    "local_classifier": LocalClassifier,
}


def get(identifier):
    """A goodness by name, object or configuration; see `keras_ff.parts.get`."""
    return parts.get(identifier, (Goodness, ClassGroups, LocalClassifier), KNOWN, "goodness")
