"""Goodness: the base of functions that measure a sample's activities."""

from keras import ops

from keras_ff.utils import checks, registry


class Goodness(registry.Part):
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
        self.scale = checks.positive_number(scale, "scale")
        self.center = checks.finite_number(center, "center")

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
