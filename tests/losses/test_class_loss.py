"""ClassLoss: the cross-entropy of the true class."""

import numpy as np

from keras_ff import losses
from tests.helpers import drawn


def test_the_loss_is_the_cross_entropy_of_the_true_class():
    logits, labels = 5 * drawn((6, 4)), np.array([0, 3, 2, 1, 1, 0])
    shifted = logits.astype("float64") - logits.max(axis=1, keepdims=True)
    by_hand = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(6), labels]
    np.testing.assert_allclose(losses.ClassLoss()(labels, logits), by_hand, rtol=1e-5)
    assert np.isfinite(losses.ClassLoss()(labels, 1e4 * logits)).all()
