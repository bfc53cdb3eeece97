"""FFLoss: the base of losses on goodness."""

from keras import ops

from keras_ff.losses.sup_con import SupCon as SupCon
from keras_ff.utils import registry

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
