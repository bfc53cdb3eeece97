"""LabelSoftmax: one positive among several negatives."""

from keras import ops

from keras_ff.losses.base import ScaledDifference
from keras_ff.utils.registry import registered


@registered
class LabelSoftmax(ScaledDifference):
    """Softmax over the positive and all negatives: `−log softmax(α [G⁺, G⁻₁ … G⁻ₘ])₀`.

    The cross-entropy of picking the true label among the labels drawn. With one negative it is
    `SymBa`; with every wrong label as a negative it is the full cross-entropy over classes.

    Args:
        alpha: float above 0, in units of one over goodness; or `"auto"`, the default, as for
            `SymBa`.

    Call arguments:
        positive_goodness: tensor of shape (batch,).
        negative_goodness: tensor of shape (batch,) or (batch, several).

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if `alpha` is not above 0.

    Example:

    >>> import numpy as np
    >>> loss = LabelSoftmax(alpha=1.0)
    >>> value = loss(np.array([1.0]), np.array([[1.0, 1.0]]))  # log 3
    >>> print(np.round(np.array(value), 4))
    [1.0986]
    """

    def __call__(self, positive_goodness, negative_goodness):
        differences = self._differences(positive_goodness, negative_goodness)
        # log(1 + Σ exp d) = softplus(log Σ exp d): the 1 is the positive's own term.
        return ops.softplus(ops.logsumexp(differences, axis=1))
