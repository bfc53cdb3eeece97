"""ClassGroups: the goodness of each class's own group of units or channels."""

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


@registered
class ClassGroups(registry.Part):
    """Goodness of each class's own group of units or channels: one logit per class.

    The last axis is divided into as many groups of neighbours as there are classes; group k's
    goodness, over its units and all positions, is class k's logit: `G_k = scale · g(y_group k)`
    (Papachristodoulou et al. 2024; Sun et al. 2025). The layer's loss is then a cross-entropy,
    and there are no negatives.

    Args:
        of: name or object of `keras_ff.goodness` without groups: what is measured in a group.
            Defaults to `"mean_activity"`.
        scale: float above 0, multiplies the logits; means of activities differ by only 0.01 to
            0.1 between classes at the start. Defaults to `10.0`.
        num_classes: integer, needed where the goodness stands alone; a model sets it in its layers.
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
        self.of = registry.get(of, Goodness, PLAIN, "goodness of a group")
        if not isinstance(self.of, Goodness):
            raise ValueError(f"Groups of groups are no goodness. Received: of={of!r}")
        self.scale = checks.positive_number(scale, "scale")
        self.num_classes = num_classes

    def __call__(self, activities, num_classes=None):
        num_classes = num_classes or self.num_classes
        self.check(activities.shape, num_classes)
        group = activities.shape[-1] // num_classes
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
