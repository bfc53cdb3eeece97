"""ClassLoss: the cross-entropy of the true class."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import losses
from keras_ff.layers import Batch, FFDense
from tests.helpers import drawn
from tests.helpers.either_backend import value_and_gradients

LABELS = np.array([0, 3, 2, 1, 1, 0])


def smoothed_by_hand(logits, labels, smoothing):
    """The cross-entropy of targets of which a share is spread over all classes, in float64."""
    logits, classes = np.asarray(logits, "float64"), logits.shape[1]
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_shares = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    targets = (1 - smoothing) * np.eye(classes)[labels] + smoothing / classes
    return -(targets * log_shares).sum(axis=1)


def test_the_loss_is_the_cross_entropy_of_the_true_class():
    logits, labels = 5 * drawn((6, 4)), np.array([0, 3, 2, 1, 1, 0])
    shifted = logits.astype("float64") - logits.max(axis=1, keepdims=True)
    by_hand = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(6), labels]
    np.testing.assert_allclose(losses.ClassLoss()(labels, logits), by_hand, rtol=1e-5)
    assert np.isfinite(losses.ClassLoss()(labels, 1e4 * logits)).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing_spreads_a_share_of_the_target(smoothing):
    logits = 5 * drawn((6, 4))
    loss = losses.ClassLoss(label_smoothing=smoothing)
    value, (gradient,) = value_and_gradients(lambda tensor: loss(LABELS, tensor), logits)
    np.testing.assert_allclose(value, smoothed_by_hand(logits, LABELS, smoothing), rtol=1e-5)
    by_keras = keras.losses.CategoricalCrossentropy(True, smoothing, reduction=None)
    np.testing.assert_allclose(value, by_keras(np.eye(4)[LABELS], logits), rtol=1e-5)
    # The gradient is what the softmax is above the targets.
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    targets = (1 - smoothing) * np.eye(4)[LABELS] + smoothing / 4
    np.testing.assert_allclose(gradient, shares - targets, rtol=1e-4, atol=1e-5)
    assert np.isfinite(loss(LABELS, 1e4 * logits)).all()


def test_label_smoothing_in_float32():
    logits = keras.ops.cast(drawn((6, 4)), "bfloat16")
    value = losses.ClassLoss(label_smoothing=0.1)(LABELS, logits)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    exact = np.array(keras.ops.cast(logits, "float32"))
    np.testing.assert_allclose(value, smoothed_by_hand(exact, LABELS, 0.1), rtol=1e-5)


@pytest.mark.parametrize("goodness", ["class_groups", "local_classifier"])
def test_label_smoothing_is_of_the_loss_alone(goodness):
    """Accuracy and goodness of a layer are those of the layer without."""
    found = {}
    for smoothing in (0.0, 0.2):
        keras.utils.set_random_seed(0)
        loss = losses.ClassLoss(label_smoothing=smoothing)
        layer = FFDense(8, goodness=goodness, loss=loss, optimizer="sgd")
        layer.num_classes = 4
        found[smoothing] = layer.test_step(Batch(drawn((6, 5)), 1, labels=LABELS))[0]
    plain, smoothed = found.values()
    for name in ("goodness", "accuracy", "class_goodness"):
        np.testing.assert_array_equal(plain[name], smoothed[name])
    logits = np.array(plain["class_goodness"])
    expected = smoothed_by_hand(logits, LABELS, 0.2).mean()
    assert float(smoothed["loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(plain["loss"]) != pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_every_layer_of_a_model_has_smoothed_labels():
    layers = [FFDense(8, goodness="class_groups") for _ in range(2)]
    model = keras_ff.FFModel(layers, 4, label_embedding=None, negatives=None)
    model.compile("sgd", losses.ClassLoss(label_smoothing=0.2), metrics=["accuracy"])
    x = drawn((6, 5))
    logs = model.test_on_batch(x, LABELS, return_dict=True)
    goodness = [
        np.array(layer.compute_goodness(activities))
        for layer, activities in zip(
            layers, model.stack.activities(Batch(x, streams=1)), strict=True
        )
    ]
    expected = sum(smoothed_by_hand(each, LABELS, 0.2).mean() for each in goodness)
    assert float(logs["loss"]) == pytest.approx(expected, rel=1e-5)
    again = type(model).from_config(model.get_config())
    again.compile_from_config(model.get_compile_config())
    assert again.ff_layers[0].loss.label_smoothing == 0.2


def test_round_trip():
    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for loss in (losses.ClassLoss(), losses.ClassLoss(keras_loss, label_smoothing=0.1)):
        serialised = keras.saving.serialize_keras_object(loss)
        for copy in (losses.ClassLoss.from_config(loss.get_config()), losses.get(serialised)):
            assert copy.label_smoothing == loss.label_smoothing
            logits = drawn((6, 4))
            np.testing.assert_array_equal(copy(LABELS, logits), loss(LABELS, logits))
    # A configuration from before there was label smoothing.
    assert losses.ClassLoss.from_config({"loss": None}).label_smoothing == 0


def test_arguments_out_of_range():
    for wrong in (-0.1, 1.0, 2, "much", True):
        with pytest.raises(ValueError, match=r"`label_smoothing` must.*Received: label_smoothing="):
            losses.ClassLoss(label_smoothing=wrong)
    ignoring = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)
    assert losses.ClassLoss(ignoring).loss is ignoring
    with pytest.raises(ValueError, match=r"a class is ignored.*ignore_class=3"):
        losses.ClassLoss(ignoring, label_smoothing=0.1)
