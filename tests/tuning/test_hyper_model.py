"""FFHyperModel: configurations and models out of hyperparameters."""

import keras
import keras_tuner
import numpy as np
import pytest

from keras_ff import tuning
from keras_ff.tuning import FFHyperModel
from tests.helpers import mostly_slow
from tests.helpers.tuning import base, parameters

pytestmark = pytest.mark.usefixtures("eager_functions")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("goodness", "scale", "unit"),
    [("mean_of_squares", None, 1), ("sum_of_squares", None, 24), ("mean_of_squares", 8.0, 8)],
)
def test_thresholds_and_margins_are_in_units_of_the_goodness(goodness, scale, unit):
    hyper_model = FFHyperModel(base(goodness=goodness, goodness_scale=scale))
    config = hyper_model.config(parameters(threshold=0.75, margin=0.25))
    assert (config.threshold, config.margin) == (0.75 * unit, 0.25 * unit)
    model = hyper_model.build(parameters(threshold=0.75, margin=0.25))
    assert [layer.goodness_unit for layer in model.ff_layers] == [unit, unit]
    assert [layer.loss.threshold for layer in model.ff_layers] == [0.75 * unit] * 2


@mostly_slow("tuner", ["random", "bayesian"], quick=())
def test_a_search_begins_with_what_the_base_has(tuner, tmp_path):
    usual = base(
        epochs=1, batch_size=512, goodness_scale=8.0, threshold=2.4, margin=0.8, learning_rate=2e-3
    )
    names = ["threshold", "margin", "learning_rate"]
    found = tuning.tune(usual, names, tmp_path, trials=2, tuner=tuner, verbose=0)
    first, second = sorted(found, key=lambda one: int(one.trial))
    assert first.values == pytest.approx({"threshold": 0.3, "margin": 0.1, "learning_rate": 2e-3})
    assert first.config.threshold == pytest.approx(usual.threshold)
    assert second.values != first.values


def test_what_the_base_has_is_brought_to_the_scale_of_the_search():
    hyper_model = FFHyperModel(base(goodness="sum_of_squares", units=(24, 12), threshold="auto"))
    assert hyper_model.usual("threshold") == 0.5
    hyper_model = FFHyperModel(
        base(goodness="sum_of_squares", units=(24, 12), threshold=(6.0, 9.0))
    )
    assert [hyper_model.usual("threshold", number) for number in (1, 2)] == [0.25, 0.75]
    hyper_model = FFHyperModel(base(loss="symba", goodness_scale=4.0, alpha=3.0), ["alpha"])
    assert hyper_model.usual("alpha") == 12.0
    for activation, alpha in (("relu", 16.0), ("tanh", 64.0)):
        symba = base(loss="symba", activation=activation)
        assert FFHyperModel(symba, ["alpha"]).usual("alpha") == alpha
    groups = FFHyperModel(base(goodness="class_groups", units=(20, 20)), ["goodness_scale"])
    assert groups.usual("goodness_scale") == 10.0
    assert hyper_model.usual("width") == 24 and hyper_model.usual("depth") == 2
    assert hyper_model.usual("activation") == "relu"


def test_alpha_is_in_one_over_units():
    hyper_model = FFHyperModel(base(loss="symba", goodness="sum_of_squares"), ["alpha"])
    assert hyper_model.config(parameters(alpha=12.0)).alpha == pytest.approx(12 / 24)


def test_layers_of_several_widths_have_thresholds_of_their_own():
    hyper_model = FFHyperModel(base(units=(10, 30), goodness="sum_of_squares"), ["threshold"])
    assert hyper_model.config(parameters(threshold=0.5)).threshold == (5.0, 15.0)


@pytest.mark.slow
def test_one_value_a_layer():
    hyper_model = FFHyperModel(base(), ["thresholds", "margins", "learning_rates"])
    values = {
        f"{name}_{layer}": 0.1 * layer for name in ("threshold", "margin") for layer in (1, 2)
    }
    rates = {"learning_rate_1": 0.001, "learning_rate_2": 0.004}
    model = hyper_model.build(parameters(**values, **rates))
    assert [layer.loss.threshold for layer in model.ff_layers] == [0.1, 0.2]
    assert [layer.loss.margin for layer in model.ff_layers] == [0.1, 0.2]
    found = [float(layer.optimizer.learning_rate) for layer in model.ff_layers]
    np.testing.assert_allclose(found, [0.001, 0.004], rtol=1e-6)


def test_what_is_not_searched_stays():
    hyper_model = FFHyperModel(base(activation="tanh", seed=5), ["width", "depth"])
    config = hyper_model.config(parameters(width=30, depth=3))
    assert config.units == (30, 30, 30)
    assert (config.activation, config.seed, config.epochs) == ("tanh", 5, 2)


def test_a_loss_is_given_its_own_parameters_alone():
    hyper_model = FFHyperModel(base(), ["loss", "threshold", "alpha"])
    logistic = hyper_model.config(parameters(loss="logistic", threshold=0.5, alpha=8.0))
    symba = hyper_model.config(parameters(loss="symba", threshold=0.5, alpha=8.0))
    assert (logistic.threshold, logistic.alpha) == (0.5, None)
    assert (symba.threshold, symba.alpha) == (None, 8.0)


@pytest.mark.slow
def test_models_have_the_dtype_policy_of_the_configuration():
    hyper_model = FFHyperModel(base(dtype_policy="mixed_bfloat16"))
    model = hyper_model.build(parameters(threshold=0.5, margin=0.1))
    assert {layer.compute_dtype for layer in model.ff_layers} == {"bfloat16"}
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_every_name_of_the_space_makes_a_model():
    hyper_model = FFHyperModel(
        base(loss="label_softmax"),
        [
            name
            for name in tuning.SPACE
            if name not in ("thresholds", "margins", "learning_rates", "threshold_rule")
        ],
    )
    hp = keras_tuner.HyperParameters()
    hyper_model.build(hp)  # each at its default
    assert set(hp.values) == set(hyper_model.space)
