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


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing_spreads_a_share_of_the_target(negatives, smoothing):
    negative = NEGATIVES[negatives].reshape(len(POSITIVE), -1)
    logits = 3.0 * np.concatenate([POSITIVE[:, None], negative], axis=1)
    target = np.eye(logits.shape[1])[np.zeros(len(POSITIVE), int)]
    by_keras = keras.losses.CategoricalCrossentropy(True, smoothing, reduction=None)
    loss = losses.LabelSoftmax(alpha=3.0, label_smoothing=smoothing)
    value = loss(POSITIVE, NEGATIVES[negatives])
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    np.testing.assert_allclose(value, by_keras(target, logits), rtol=1e-5, atol=1e-6)


def test_label_smoothing_by_hand():
    # Shares of a half each, and targets of 0.9 and 0.1.
    loss = losses.LabelSoftmax(alpha=1.0, label_smoothing=0.2)
    assert float(loss(np.zeros(1), np.zeros(1))[0]) == pytest.approx(np.log(2), rel=1e-6)
    # At log 9 apart the shares are the targets, and there is nothing left to learn.
    _, gradients = value_and_gradients(loss, np.array([np.log(9.0)]), np.zeros(1))
    assert np.abs(gradients).max() < 1e-6


def test_label_smoothing_stays_as_alpha_is_set():
    loss = losses.LabelSoftmax(label_smoothing=0.1)
    assert loss.on_scale(0.5) == losses.LabelSoftmax(alpha=32.0, label_smoothing=0.1)
    assert losses.get(keras.saving.serialize_keras_object(loss)) == loss
    assert losses.LabelSoftmax.from_config({"alpha": 2.0}) == losses.LabelSoftmax(alpha=2.0)
    for wrong in (-0.1, 1.0, "much"):
        with pytest.raises(ValueError, match=r"`label_smoothing` must.*Received: label_smoothing="):
            losses.LabelSoftmax(label_smoothing=wrong)
