"""LabelSoftmax: several negatives at once; with one it is SymBa."""

import keras
import numpy as np
import pytest

from keras_ff import losses
from tests.helpers.either_backend import value_and_gradients
from tests.helpers.goodness_pairs import NEGATIVES, POSITIVE


@pytest.mark.parametrize("alpha", [0.5, 4.0, "auto"])
@pytest.mark.parametrize("negatives", ["one", "one_column"])
def test_label_softmax_with_one_negative_is_symba(alpha, negatives):
    arguments = POSITIVE, NEGATIVES[negatives]
    softmax, symba = losses.LabelSoftmax(alpha=alpha), losses.SymBa(alpha=alpha)
    np.testing.assert_allclose(softmax(*arguments), symba(*arguments), rtol=1e-6)
    for one, other in zip(
        value_and_gradients(softmax, *arguments)[1],
        value_and_gradients(symba, *arguments)[1],
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_with_several_negatives_they_differ():
    arguments = np.zeros(1), np.zeros((1, 3))
    assert float(losses.SymBa()(*arguments)[0]) == pytest.approx(np.log(2), rel=1e-6)
    assert float(losses.LabelSoftmax()(*arguments)[0]) == pytest.approx(np.log(4), rel=1e-6)


def test_label_softmax_over_all_wrong_labels_is_the_cross_entropy():
    values = np.random.default_rng(4).normal(size=(5, 6))
    labels = np.array([0, 5, 2, 2, 4])
    positive = values[np.arange(5), labels]
    negative = np.array([np.delete(row, label) for row, label in zip(values, labels, strict=True)])
    entropy = keras.losses.sparse_categorical_crossentropy(labels, 3.0 * values, from_logits=True)
    value = losses.LabelSoftmax(alpha=3.0)(positive, negative)
    np.testing.assert_allclose(value, entropy, rtol=1e-5)


def test_symba_with_alpha_one_on_sums_is_the_softmax_over_the_pair():
    positive, negative = np.array([3.0, 1.0]), np.array([2.0, 1.5])
    softmax = -np.log(np.exp(positive) / (np.exp(positive) + np.exp(negative)))
    np.testing.assert_allclose(losses.SymBa(alpha=1.0)(positive, negative), softmax, rtol=1e-5)
