"""Logistic: margins, and thresholds given or learned."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import losses
from keras_ff.layers import FFDense
from tests.helpers.either_backend import value_and_gradients
from tests.helpers.goodness_pairs import NEGATIVES, POSITIVE, logistic_by_hand


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def test_a_larger_margin_raises_the_loss():
    positive, negative = np.linspace(-3, 3, 7), np.linspace(2, -2, 7)
    values = [
        np.array(losses.Logistic(threshold=0.5, margin=margin)(positive, negative))
        for margin in (0.0, 0.5, 1.0, 4.0)
    ]
    assert np.all(np.diff(values, axis=0) > 1e-2)


def test_a_larger_margin_strengthens_both_forces():
    forces = [
        value_and_gradients(losses.Logistic(threshold=1.0, margin=margin), [1.5], [0.5])[1]
        for margin in (0.0, 1.0, 2.0)
    ]
    pulls, pushes = np.array(forces)[:, 0, 0], np.array(forces)[:, 1, 0]
    assert np.all(np.diff(pulls) < -0.05)  # more negative: positives rise faster
    assert np.all(np.diff(pushes) > 0.05)  # more positive: negatives fall faster
    np.testing.assert_allclose(pulls, -sigmoid(1.0 + np.array([0.0, 1.0, 2.0]) - 1.5), rtol=1e-5)
    np.testing.assert_allclose(pushes, -pulls, rtol=1e-5)


def test_descent_with_a_larger_margin_ends_further_apart():
    gaps = []
    for margin in (0.0, 1.0, 3.0):
        loss = losses.Logistic(threshold=2.0, margin=margin)
        positive, negative = np.array([2.0]), np.array([2.0])
        for _ in range(20):
            _, (pull, push) = value_and_gradients(loss, positive, negative)
            positive, negative = positive - 0.5 * pull, negative - 0.5 * push
        gaps.append((positive - negative)[0])
    assert gaps[0] > 2.0
    assert gaps[1] > gaps[0] + 1.0
    assert gaps[2] > gaps[1] + 2.0


def model_with(loss, layers=2, **settings):
    model = keras_ff.FFModel(
        [FFDense(5, **settings) for _ in range(layers)], 3, layer_schedule="simultaneous"
    )
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    model.build((None, 4))
    return model


def batch(samples=8):
    rng = np.random.default_rng(6)
    return rng.normal(size=(samples, 4)).astype("float32"), rng.integers(0, 3, samples)


def test_one_threshold_for_all_layers():
    model = model_with(losses.Logistic(threshold=2.0, margin=0.5))
    assert [layer.loss.threshold for layer in model.ff_layers] == [2.0, 2.0]
    assert [layer.loss.margin for layer in model.ff_layers] == [0.5, 0.5]


def test_a_threshold_and_a_margin_for_each_layer():
    model = model_with(losses.Logistic(threshold=[1.0, 4.0], margin=[0.0, 0.5]))
    assert [layer.loss.threshold for layer in model.ff_layers] == [1.0, 4.0]
    assert [layer.loss.margin for layer in model.ff_layers] == [0.0, 0.5]
    inputs = np.random.default_rng(7).normal(size=(6, 7)).astype("float32")
    layer = model.ff_layers[0]
    metrics, _ = layer.test_step(inputs)
    expected = logistic_by_hand(
        metrics["positive_goodness"], metrics["negative_goodness"], threshold=1.0
    )
    assert float(metrics["loss"]) == pytest.approx(expected.mean(), rel=1e-5)


def test_a_list_is_no_threshold_by_itself():
    with pytest.raises(ValueError, match=r"for_layer.*Received: threshold=\[1.0, 2.0\]"):
        losses.Logistic(threshold=[1.0, 2.0])(POSITIVE, POSITIVE)


def test_a_threshold_given_in_the_call_counts():
    value = losses.Logistic(threshold=9.0)(POSITIVE, NEGATIVES["one"], threshold=2.0)
    np.testing.assert_allclose(
        value, logistic_by_hand(POSITIVE, NEGATIVES["one"], threshold=2.0), rtol=1e-5
    )


@pytest.mark.parametrize("measure", ["mean_of_squares", "sum_of_squares"])
def test_a_learned_threshold_starts_at_half_a_unit_and_takes_the_layers_step(measure):
    layer = FFDense(
        6,
        goodness=measure,
        loss=losses.Logistic(threshold="learned", margin=0.25),
        optimizer=keras.optimizers.SGD(0.5),
    )
    layer.build((None, 4))
    start = 0.5 if measure == "mean_of_squares" else 3.0
    assert float(layer.threshold) == start
    assert any(weight is layer.threshold for weight in layer.trainable_weights)
    metrics, _ = layer.train_step(np.random.default_rng(8).normal(size=(10, 4)).astype("float32"))
    positive = np.array(metrics["positive_goodness"])
    negative = np.array(metrics["negative_goodness"])
    expected = logistic_by_hand(positive, negative, start, 0.25).mean()
    assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-5)
    slope = np.mean(sigmoid(start + 0.25 - positive) - sigmoid(negative - start + 0.25))
    assert abs(slope) > 1e-3
    assert float(layer.threshold) == pytest.approx(start - 0.5 * slope, rel=1e-5)


def test_a_learned_threshold_is_saved_and_loaded(tmp_path):
    model = model_with(losses.Logistic(threshold="learned"))
    before = [float(layer.threshold) for layer in model.ff_layers]
    for _ in range(3):
        model.train_on_batch(*batch())
    learned = [float(layer.threshold) for layer in model.ff_layers]
    assert all(abs(one - other) > 1e-3 for one, other in zip(before, learned, strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [float(layer.threshold) for layer in loaded.ff_layers] == learned
    model.save_weights(tmp_path / "model.weights.h5")
    other = model_with(losses.Logistic(threshold="learned"))
    other.load_weights(tmp_path / "model.weights.h5")
    assert [float(layer.threshold) for layer in other.ff_layers] == learned


def test_a_learned_threshold_goes_with_its_loss():
    model = model_with(losses.Logistic(threshold="learned"))
    assert len(model.trainable_variables) == 6
    model.compile(keras.optimizers.SGD(0.1), losses.Logistic(threshold=2.0), run_eagerly=True)
    assert len(model.trainable_variables) == 4
    assert [layer.threshold for layer in model.ff_layers] == [None, None]
    kernel = keras.ops.convert_to_numpy(model.ff_layers[0].kernel)
    model.train_on_batch(*batch())
    after = keras.ops.convert_to_numpy(model.ff_layers[0].kernel)
    assert np.abs(after - kernel).max() > 1e-4
