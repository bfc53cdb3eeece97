"""LabelSoftmax: one positive among several negatives."""

from keras import ops

from keras_ff.losses.base import AUTO, ScaledDifference
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class LabelSoftmax(ScaledDifference):
    """Softmax over the positive and all negatives: `−log softmax(α [G⁺, G⁻₁ … G⁻ₘ])₀`.

    The cross-entropy of picking the true label among the labels drawn. With one negative it is
    `SymBa`; with every wrong label as a negative it is the full cross-entropy over classes.

    With label smoothing ε (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567) a share of ε of
    the target is spread evenly over the positive and its m negatives:
    `loss = −Σ_k q_k log softmax(α [G⁺, G⁻₁ … G⁻ₘ])_k` with `q_k = (1 − ε) [k = 0] + ε / (m + 1)`.

    Args:
        alpha: float above 0, in units of one over goodness; or `"auto"`, the default, as for
            `SymBa`.
        label_smoothing: float in [0, 1), ε. Defaults to `0.0`.

    Call arguments:
        positive_goodness: tensor of shape (batch,).
        negative_goodness: tensor of shape (batch,) or (batch, several).

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if `alpha` is not above 0, or `label_smoothing` is out of its range.

    Example:

    >>> import numpy as np
    >>> loss = LabelSoftmax(alpha=1.0)
    >>> value = loss(np.array([1.0]), np.array([[1.0, 1.0]]))  # log 3
    >>> print(np.round(np.array(value), 4))
    [1.0986]
    """

    def __init__(self, alpha=AUTO, label_smoothing=0.0):
        super().__init__(alpha)
        self.label_smoothing = checks.share(label_smoothing, "label_smoothing")

    def __call__(self, positive_goodness, negative_goodness):
        differences = self._differences(positive_goodness, negative_goodness)
        # log(1 + Σ exp d) = softplus(log Σ exp d): the 1 is the positive's own term.
        losses = ops.softplus(ops.logsumexp(differences, axis=1))
        if not self.label_smoothing:
            return losses
        # −log of a negative's share is the positive's less d.
        share = self.label_smoothing / (differences.shape[1] + 1)
        return losses - share * ops.sum(differences, axis=1)

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
