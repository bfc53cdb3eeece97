"""Logistic: goodness beside a threshold."""

import copy

from keras import ops

from keras_ff.losses.base import AUTO, FFLoss, columns
from keras_ff.utils import checks, registry
from keras_ff.utils.registry import registered

LEARNED = "learned"


# Where thresholds stand that are not given, in units of goodness: about what a rectified layer
# starts with under normalised inputs, and within reach of activations bounded by one.
AUTO_THRESHOLD = 0.5


@registered
class Logistic(FFLoss):
    """Logistic loss about a threshold, with a margin on both sides.

    `loss = softplus(θ + ε − G⁺) + softplus(G⁻ − θ + ε)` with threshold θ and margin ε
    (Hinton 2022, eq. 1; the margin after Li and Chen, §A.4, signed so that it pushes positives
    above θ + ε and negatives below θ − ε).

    Args:
        threshold: a number; a list with one number per layer; `"auto"`: half a unit of the goodness
            (0.5 for means of squares, half the number of units for sums), the default; or
            `"learned"`: starts there and is trained with the layer by the layer's own optimizer.
        margin: number ≥ 0, in units of goodness, or a list with one number per layer. Defaults
            to `0.0`.

    Call arguments:
        positive_goodness: tensor of shape (batch,).
        negative_goodness: tensor of shape (batch,) or (batch, several).
        threshold: scalar tensor to use in place of the configured threshold; a layer passes its
            learned one here.

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if a parameter is not finite, a margin is negative, or a list does not hold
            one number per layer.

    Example:

    >>> import numpy as np
    >>> loss = Logistic(threshold=2.0)
    >>> value = loss(np.array([2.0]), np.array([2.0]))  # both at the threshold: 2 · log 2
    >>> print(np.round(np.array(value), 4))
    [1.3863]
    """

    def __init__(self, threshold=AUTO, margin=0.0):
        if not isinstance(threshold, str):
            threshold = self._numbers(threshold, "threshold")
        elif threshold not in (AUTO, LEARNED):
            raise ValueError(
                "`threshold` must be a number, a list of one number per layer, 'auto' or "
                f"'learned'. {registry.nearest(threshold, [AUTO, LEARNED])} "
                f"Received: threshold={threshold!r}"
            )
        self.threshold = threshold
        self.margin = self._numbers(margin, "margin")
        margins = self.margin if isinstance(self.margin, list) else [self.margin]
        if min(margins, default=0) < 0:
            raise ValueError(f"`margin` must not be negative. Received: margin={margin!r}")

    @staticmethod
    def _numbers(value, name):
        if isinstance(value, (list, tuple)):
            return [checks.finite_number(item, name) for item in value]
        return checks.finite_number(value, name)

    @property
    def learns_threshold(self):
        return self.threshold == LEARNED

    def initial_threshold(self, unit=1.0):
        """The threshold as a number; `"auto"` and `"learned"` start at half a `unit`."""
        return AUTO_THRESHOLD * unit if isinstance(self.threshold, str) else self.threshold

    def __call__(self, positive_goodness, negative_goodness, threshold=None):
        for name, value in (("threshold", self.threshold), ("margin", self.margin)):
            if isinstance(value, list):
                raise ValueError(
                    f"`{name}` holds one number per layer; call `for_layer(index, num_layers)` "
                    f"first. Received: {name}={value!r}"
                )
        positive, negative = columns(positive_goodness, negative_goodness)
        if threshold is None:
            threshold = self.initial_threshold()
        pull = ops.softplus(threshold + self.margin - positive[:, 0])
        push = ops.mean(ops.softplus(negative - threshold + self.margin), axis=1)
        return pull + push

    def for_layer(self, index, num_layers):
        chosen = {}
        for name in ("threshold", "margin"):
            value = getattr(self, name)
            if isinstance(value, list):
                if len(value) != num_layers:
                    raise ValueError(
                        f"A list for `{name}` must hold one number per layer, {num_layers} here. "
                        f"Received: {len(value)} numbers, {name}={value!r}"
                    )
                value = value[index]
            chosen[name] = value
        return Logistic(**chosen)

    def on_scale(self, unit, typical_alpha=None):
        if self.threshold != AUTO:
            return self
        return Logistic(threshold=self.initial_threshold(unit), margin=self.margin)

    def get_config(self):
        # Copies: Keras wraps lists that it saves, and a caller's list must stay the caller's.
        return {"threshold": copy.copy(self.threshold), "margin": copy.copy(self.margin)}
