"""SymBa: the positive's goodness beside the negative's."""

from keras import ops

from keras_ff.losses.base import ScaledDifference
from keras_ff.utils.registry import registered


@registered
class SymBa(ScaledDifference):
    """Loss on the difference of a pair: `softplus(−α (G⁺ − G⁻))` (Lee and Song 2023).

    No threshold: only the distance between the two streams counts. With alpha 1 on sums of
    squares it is the softmax over the pair, −log(e^G⁺ / (e^G⁺ + e^G⁻)), that Tantravahi et al.
    use; on means of squares the same loss has alpha equal to the number of units.

    Args:
        alpha: float above 0, the steepness, in units of one over goodness; or `"auto"`, the
            default: for most activations 16 and for bounded ones 64 (see
            `keras_ff.activations.typical_alpha`), divided by the unit of the layer's goodness,
            which is one for means of squares. The published 4 is slow on means of squares.

    Call arguments:
        positive_goodness: tensor of shape (batch,).
        negative_goodness: tensor of shape (batch,) or (batch, several).

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if `alpha` is not above 0.

    Example:

    >>> import numpy as np
    >>> loss = SymBa(alpha=4.0)
    >>> print(np.round(np.array(loss(np.array([1.0]), np.array([1.0]))), 4))  # log 2
    [0.6931]
    """

    def __call__(self, positive_goodness, negative_goodness):
        differences = self._differences(positive_goodness, negative_goodness)
        return ops.mean(ops.softplus(differences), axis=1)
