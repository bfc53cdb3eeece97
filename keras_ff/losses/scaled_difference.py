"""The base of losses on differences of goodness."""

from keras_ff.losses.base import AUTO, FFLoss, columns
from keras_ff.losses.sup_con import SupCon as SupCon
from keras_ff.utils import checks


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
        return type(self)(alpha=(typical_alpha or self.typical_alpha) / unit)

    def _differences(self, positive_goodness, negative_goodness):
        positive, negative = columns(positive_goodness, negative_goodness)
        alpha = self.typical_alpha if self.alpha == AUTO else self.alpha
        return alpha * (negative - positive)

    def get_config(self):
        return {"alpha": self.alpha}
