"""FFLoss: the base of losses on goodness."""

from keras import ops

from keras_ff.utils import checks, registry

AUTO = "auto"


def columns(positive_goodness, negative_goodness):
    """Positive goodness as (batch, 1) and negative goodness as (batch, several), in float32."""
    positive = ops.cast(positive_goodness, "float32")
    negative = ops.cast(negative_goodness, "float32")
    if len(negative.shape) == 1:
        negative = ops.expand_dims(negative, 1)
    return ops.expand_dims(positive, 1), negative


class FFLoss(registry.Part):
    """Base of the losses on positive and negative goodness."""

    learns_threshold = False
    # Whether the loss is one of labels and class goodness, as class groups need.
    per_class = False

    def __call__(self, positive_goodness, negative_goodness):
        raise NotImplementedError

    def for_layer(self, index, num_layers):
        """This loss as layer `index` of `num_layers` uses it: lists become that layer's value."""
        del index, num_layers
        return self

    def on_scale(self, unit, typical_alpha=None):
        """This loss with `"auto"` parameters set for a goodness whose unit is `unit`.

        Args:
            unit: float, goodness of activities that are all one.
            typical_alpha: float, the alpha that suits the layer's activation at a unit of one.
                Defaults to `None`: that of rectified activations.
        """
        del unit, typical_alpha
        return self


class ScaledDifference(FFLoss):
    """Base of the losses on `alpha` times a difference of goodness."""

    # What trained best for rectified activations under means of squares (16 to 32 are alike).
    typical_alpha = 16.0

    def __init__(self, alpha=AUTO):
        if not (isinstance(alpha, str) and alpha == AUTO):
            alpha = checks.positive_number(alpha, "alpha")
        self.alpha = alpha

    def on_scale(self, unit, typical_alpha=None):
        if self.alpha != AUTO:
            return self
        alpha = (typical_alpha or self.typical_alpha) / unit
        return type(self)(**{**self.get_config(), "alpha": alpha})

    def _differences(self, positive_goodness, negative_goodness):
        positive, negative = columns(positive_goodness, negative_goodness)
        alpha = self.typical_alpha if self.alpha == AUTO else self.alpha
        return alpha * (negative - positive)

    def get_config(self):
        return {"alpha": self.alpha}
