"""ClassGroups: the goodness of each class's own group of units or channels."""

import numbers

import keras
from keras import ops

from keras_ff.backends import reductions
from keras_ff.goodness.whole_sample import Goodness, MeanActivity, MeanOfSquares, SumOfSquares
from keras_ff.utils import checks, registry
from keras_ff.utils.registry import registered

# What may be measured in a group. The value of a whole is the mean of those of its parts, each in
# its own unit.
PLAIN = {
    "sum_of_squares": SumOfSquares,
    "mean_of_squares": MeanOfSquares,
    "mean_activity": MeanActivity,
}

ALL = "all"


@registered
class ClassGroups(registry.Part):
    """Goodness of each class's own group of units or channels: one logit per class.

    The last axis is divided into as many groups of neighbours as there are classes; group k's
    goodness, over its units and all positions, is class k's logit: `G_k = scale · g(y_group k)`
    (Papachristodoulou et al. 2024; Sun et al. 2025). The layer's loss is then a cross-entropy,
    and there are no negatives.

    With `free` a part of the units belongs to no class: the last ones of the last axis, which no
    logit sees and which learn by the layer's auxiliary terms alone, such as
    `keras_ff.losses.SupCon`. With `free="all"` the layer has no class goodness: its logits are 0,
    so that it takes no part in scores, its loss is its auxiliary terms alone, and its accuracy is
    nan. Early layers of few channels, of which class groups would have one or two each, can so
    precede layers of class groups.

    Args:
        of: name or object of `keras_ff.goodness` without groups: what is measured in a group.
            Defaults to `"mean_activity"`.
        scale: float above 0, multiplies the logits; means of activities differ by only 0.01 to
            0.1 between classes at the start. Defaults to `10.0`.
        num_classes: integer, needed where the goodness stands alone; a model sets it in its layers.
            Defaults to `None`.
        free: the units that belong to no class: an integer, how many of them; a share between 0
            and 1, of which the classes then get all that can be divided among them; or `"all"`.
            The rest must be a multiple of the classes. In an `FFModel` the class-group
            normalisation of the next layer standardises them by themselves. Defaults to `0`.

    Call arguments:
        activities: tensor of shape (batch, ..., units).
        num_classes: integer, in place of the configured one.

    Returns:
        float32 tensor of shape (batch, num_classes).

    Raises:
        ValueError: if the units are not divided by the number of classes, that is not known, or an
            argument is out of its range.

    Example:

    >>> import numpy as np
    >>> goodness = ClassGroups(scale=1.0, num_classes=2)
    >>> print(np.array(goodness(np.array([[1.0, 2.0, 3.0, 5.0]]))))
    [[1.5 4. ]]
    >>> goodness = ClassGroups(scale=1.0, num_classes=2, free=2)
    >>> print(np.array(goodness(np.array([[1.0, 2.0, 3.0, 5.0]]))))
    [[1. 2.]]
    """

    per_class = True

    def __init__(self, of="mean_activity", scale=10.0, num_classes=None, free=0):
        self.of = registry.get(of, Goodness, PLAIN, "goodness of a group")
        if not isinstance(self.of, Goodness):
            raise ValueError(f"Groups of groups are no goodness. Received: of={of!r}")
        self.scale = checks.positive_number(scale, "scale")
        self.num_classes = num_classes
        self.free = _checked_free(free)

    @property
    def scores(self):
        """Whether there are class groups, whose goodness takes part in scores."""
        return self.free != ALL

    def __call__(self, activities, num_classes=None):
        num_classes = num_classes or self.num_classes
        self.check(activities.shape, num_classes)
        if not self.scores:
            return ops.zeros((ops.shape(activities)[0], num_classes), "float32")
        width = activities.shape[-1] - self.free_units(activities.shape[-1], num_classes)
        activities, group = activities[..., :width], width // num_classes
        if type(self.of) in PLAIN.values() and all(activities.shape[1:]):
            unit = self.of.unit((None, *activities.shape[1:-1], group))
            values = self.of.centered(activities)
            if not isinstance(self.of, MeanActivity):
                values = ops.square(values)
            return self.scale * unit * reductions.group_means(values, num_classes)
        groups = ops.reshape(activities, (-1, *activities.shape[1:-1], num_classes, group))
        groups = ops.moveaxis(groups, -2, 1)
        goodness = self.of(ops.reshape(groups, (-1, *groups.shape[2:])))
        return self.scale * ops.reshape(goodness, (-1, num_classes))

    def unit(self, activities_shape):
        """Goodness has no threshold here, so its unit is one."""
        del activities_shape
        return 1.0

    def free_units(self, width, num_classes):
        """How many units, the last of `width`, belong to no class."""
        if not self.scores:
            return width
        if isinstance(self.free, int):
            return self.free
        group = int((1.0 - self.free) * width / num_classes + 1e-9)
        return width - max(group, 1) * num_classes

    def check(self, activities_shape, num_classes):
        """Raise ValueError where the last axis cannot be divided among the classes."""
        if num_classes is None:
            raise ValueError(
                "ClassGroups that stand alone must be told the number of classes, "
                "ClassGroups(num_classes=10). Received: num_classes=None"
            )
        width = activities_shape[-1]
        free = max(self.free_units(width, num_classes), 0)
        if self.scores and (width <= free or (width - free) % num_classes):
            below = max(width - free, 0) // num_classes * num_classes
            choices = [choice + free for choice in (below, below + num_classes) if choice]
            less = f", less {free} free ones," if free else ""
            raise ValueError(
                f"A width of {width}{less} cannot be divided among {num_classes} classes; "
                f"{' or '.join(map(str, choices))} can. Received: activities of shape "
                f"{tuple(activities_shape)}"
            )

    def get_config(self):
        return {
            "of": keras.saving.serialize_keras_object(self.of),
            "scale": self.scale,
            "num_classes": self.num_classes,
            "free": self.free,
        }


def _checked_free(free):
    """`free` as a number of units, a share or `"all"`, or a ValueError."""
    if isinstance(free, str) and free == ALL:
        return free
    if isinstance(free, numbers.Integral) and not isinstance(free, bool) and free >= 0:
        return int(free)
    if isinstance(free, numbers.Real) and 0 < free < 1:
        return float(free)
    raise ValueError(
        "`free` must be a number of units, a share of them between 0 and 1, or 'all'. "
        f"Received: free={free!r}"
    )
