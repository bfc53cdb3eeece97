"""Thresholds by rule and from a first batch."""

import numpy as np
import pytest

from keras_ff import tuning
from keras_ff.tuning import FFHyperModel
from tests.helpers.tuning import base, parameters


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["auto", "learned"])
def test_thresholds_by_rule(rule):
    hyper_model = FFHyperModel(base(), ["threshold_rule"])
    assert hyper_model.config(parameters(threshold_rule=rule)).threshold == rule
    model = hyper_model.build(parameters(threshold_rule=rule))
    assert [layer.threshold is not None for layer in model.ff_layers] == [rule == "learned"] * 2
    symba = FFHyperModel(base(), ["threshold_rule", "loss"])
    assert symba.config(parameters(threshold_rule=rule, loss="symba")).threshold is None


def test_calibrated_thresholds_lie_between_positives_and_negatives():
    x = np.random.default_rng(0).normal(size=(40, 8, 8, 1)).astype("float32")
    y = np.arange(40) % 10
    model = FFHyperModel(base(activation="tanh"), ["margin"]).build(parameters(margin=0.0))
    thresholds = tuning.calibrated_thresholds(model, x, y, seed=3)
    samples = model.samples(x, y, seed=3)
    for layer, threshold in zip(model.ff_layers, thresholds, strict=True):
        for name, stream in samples.items():
            flat = np.reshape(stream, (*stream.shape[: 1 + (name == "negative")], -1))
            flat = flat / np.sqrt(np.mean(flat**2, axis=-1, keepdims=True))
            samples[name] = np.tanh(flat @ np.array(layer.transform.kernel))
        positive, negative = (np.mean(samples[name] ** 2) for name in ("positive", "negative"))
        assert threshold == pytest.approx((positive + negative) / 2, rel=1e-4)


@pytest.mark.slow
def test_a_calibrated_threshold_comes_from_the_trials_own_network():
    hyper_model = FFHyperModel(base(activation="tanh"), ["threshold_rule"])
    config = hyper_model.config(parameters(threshold_rule="calibrated"))
    x, y = next(iter(config.load_data()[0]))
    expected = tuning.calibrated_thresholds(
        hyper_model.build(parameters(threshold_rule="auto")), np.array(x), np.array(y)
    )
    np.testing.assert_allclose(config.threshold, expected, rtol=1e-5)
