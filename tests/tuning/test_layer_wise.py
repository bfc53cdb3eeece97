"""The search that takes one layer after the other, on scikit-learn's digits."""

import keras_tuner
import numpy as np
import pytest

import keras_ff
from keras_ff import cli, tuning
from keras_ff.fast import activation_cache
from keras_ff.fast.activation_cache import ActivationCache
from keras_ff.recipes import TrainingConfig
from keras_ff.tuning import LayerHyperModel

pytestmark = pytest.mark.usefixtures("eager_functions")

SEARCH = {"threshold": (0.2, 0.6), "learning_rate": (1e-2, 3e-2)}


def base(**chosen):
    settings = {"units": (24, 20, 16), "epochs": 6, "batch_size": 256, "loss": "logistic", **chosen}
    return TrainingConfig.for_dataset(**settings)


def parameters(**values):
    hp = keras_tuner.HyperParameters()
    for name, value in values.items():
        hp.Fixed(name, value)
    return hp


def second_layer(**chosen):
    """The space of the second layer, above one that has been trained."""
    first = LayerHyperModel(base(**chosen), SEARCH)
    below = parameters(threshold=0.4, learning_rate=2e-3)
    model = first.build(below)
    first.fit(below, model, verbose=0)
    return LayerHyperModel(base(**chosen), SEARCH, [model], [first.config(below)])


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    return folder, tuning.tune_layers(base(), SEARCH, folder, 2, "random", verbose=0)


@pytest.mark.slow
def test_each_layer_is_searched_above_the_best_of_those_below(searched):
    _, layers = searched
    assert [len(found) for found in layers] == [2, 2, 2]
    for number, found in enumerate(layers, start=1):
        assert found[0].score >= found[1].score
        for one in found:
            assert one.config.units == base().units[:number]
            assert one.config.epochs == 2 * number
            for name in SEARCH:
                expected = (one.values[name],)
                if number > 1:
                    stack = layers[number - 2][one.values["layers_below"]]
                    expected = (*getattr(stack.config, name), *expected)
                assert getattr(one.config, name) == expected
    for found in layers[1:]:
        # Each layer's search begins with the base, on one candidate below after the other.
        for candidate, one in enumerate(sorted(found, key=lambda one: int(one.trial))):
            assert one.values["layers_below"] == candidate
            usual = {name: one.values[name] for name in SEARCH}
            assert usual == pytest.approx({"threshold": 0.5, "learning_rate": 1e-2})
    assert layers[-1][0].config.layer_schedule == "greedy"
    assert layers[-1][0].score > 0.5


@pytest.mark.slow
def test_a_search_begins_with_what_suited_each_candidate_below():
    first = LayerHyperModel(base(), SEARCH)
    found = [
        first.config(parameters(threshold=threshold, learning_rate=2e-2))
        for threshold in (0.3, 0.55)
    ]
    hyper_model = LayerHyperModel(base(), SEARCH, [None, None], found)
    assert hyper_model.beginnings() == [
        {"layers_below": 1},
        pytest.approx({"threshold": 0.3, "learning_rate": 2e-2, "layers_below": 0}),
        pytest.approx({"threshold": 0.55, "learning_rate": 2e-2, "layers_below": 1}),
    ]
    one = LayerHyperModel(base(), SEARCH, [None], found[:1])
    assert one.beginnings() == [pytest.approx({"threshold": 0.3, "learning_rate": 2e-2})]


@pytest.mark.slow
def test_a_complete_search_returns_what_its_folder_holds(searched):
    folder, layers = searched
    again = tuning.tune_layers(base(), SEARCH, folder, 2, "random", resume=True, verbose=0)
    assert again == layers
    with pytest.raises(ValueError, match=r"holds a search already.*--resume"):
        tuning.tune_layers(base(), SEARCH, folder, 2, "random", verbose=0)


@pytest.mark.slow
def test_layers_below_stay_as_they_are_and_only_the_last_learns():
    hyper_model = second_layer()
    hp = parameters(threshold=0.3, learning_rate=2e-3)
    model = hyper_model.build(hp)
    first = [np.array(value) for value in model.ff_layers[0].get_weights()]
    for value, known in zip(first, hyper_model.below[0].ff_layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(value, known)
    second = model.ff_layers[1].get_weights()[0]
    metrics = hyper_model.fit(hp, model, verbose=0)
    for value, known in zip(model.ff_layers[0].get_weights(), first, strict=True):
        np.testing.assert_array_equal(value, known)
    assert np.abs(model.ff_layers[1].get_weights()[0] - second).max() > 1e-3
    assert int(model.layers_trained) == 2
    validation = hyper_model.config(hp).load_data()[1]
    accuracy = model.evaluate(validation, verbose=0, return_dict=True)["accuracy"]
    assert metrics["val_accuracy"] == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.slow
def test_a_trial_stands_on_the_candidate_that_its_values_name():
    first = LayerHyperModel(base(), SEARCH)
    models, found = [], []
    for threshold in (0.3, 0.55):
        below = parameters(threshold=threshold, learning_rate=2e-2)
        models.append(first.build(below))
        first.fit(below, models[-1], verbose=0)
        found.append(first.config(below))
    hyper_model = LayerHyperModel(base(), SEARCH, models, found)
    losses = []
    for candidate in (0, 1, 0):
        hp = parameters(threshold=0.4, learning_rate=2e-2, layers_below=candidate)
        model = hyper_model.build(hp)
        losses.append(hyper_model.fit(hp, model, verbose=0)["loss"])
        for value, known in zip(
            model.ff_layers[0].get_weights(),
            models[candidate].ff_layers[0].get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(value, known)
    assert losses[0] == losses[2] != losses[1]


@pytest.mark.slow
@pytest.mark.not_under("jax", "it would copy what is kept into the compiled step")
def test_activities_of_frozen_layers_are_computed_once_for_all_trials(monkeypatch):
    hyper_model = second_layer()
    passes, kept = [], ActivationCache._pass
    monkeypatch.setattr(
        ActivationCache, "_pass", lambda self, below: passes.append(below) or kept(self, below)
    )
    scores = []
    for threshold in (0.3, 0.5, 0.3):
        hp = parameters(threshold=threshold, learning_rate=2e-3)
        scores.append(hyper_model.fit(hp, hyper_model.build(hp), verbose=0)["loss"])
    assert passes == [0]
    assert scores[0] == scores[2] != scores[1]
    # And ends as where they are computed in every step.
    monkeypatch.setattr(activation_cache, "suits", lambda model, x: False)
    plain = second_layer()
    hp = parameters(threshold=0.3, learning_rate=2e-3)
    loss = plain.fit(hp, plain.build(hp), verbose=0)["loss"]
    assert loss == pytest.approx(scores[0], rel=1e-4)


@pytest.mark.slow
def test_weights_are_averaged_where_the_configuration_says_so():
    hyper_model = LayerHyperModel(base(weight_averaging=0.9), SEARCH)
    hp = parameters(threshold=0.4, learning_rate=2e-3)
    model = hyper_model.build(hp)
    hyper_model.fit(hp, model, verbose=0)
    layer = model.ff_layers[0]
    np.testing.assert_array_equal(
        layer.transform.kernel, layer.optimizer._model_variables_moving_average[0]
    )


@pytest.mark.slow
def test_a_layer_whose_loss_is_no_number_is_marked():
    hyper_model = LayerHyperModel(base(), {"learning_rate": [1e30]})
    hp = parameters(learning_rate=1e30)
    metrics = hyper_model.fit(hp, hyper_model.build(hp), verbose=0)
    assert metrics["failed"] == 1.0


@pytest.mark.parametrize(
    ("chosen", "search", "message"),
    [
        ({"epochs": 7}, SEARCH, "take 6 or 9 epochs.*Received: epochs=7"),
        ({"shift": 1}, SEARCH, "take shift=0.*Received: shift=1"),
        (
            {"rotate": 5},
            SEARCH,
            "flip=False, crop=None, colors=None, erase=None. Received: shift=0, rotate=5",
        ),
        ({"erase": 4}, SEARCH, "erase=None.*Received: .*erase=4"),
        ({}, ["dropout"], "Layer by layer 'dropout' cannot be searched.*Received"),
    ],
)
def test_what_cannot_be_searched_layer_by_layer_is_refused(chosen, search, message):
    with pytest.raises(ValueError, match=message):
        LayerHyperModel(base(**chosen), search)


def test_candidates_are_a_whole_number(tmp_path):
    with pytest.raises(ValueError, match=r"candidates.*Received: candidates=0"):
        tuning.tune_layers(base(), SEARCH, tmp_path, candidates=0)


def test_candidates_without_layers_are_refused(tmp_path, capsys):
    assert cli.main(["tune", "--candidates", "2", "--out", str(tmp_path / "search")]) != 0
    assert "add --layer-wise" in capsys.readouterr().err


def test_hyperband_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no tuner 'hyperband'.*Received: tuner='hyperband'"):
        tuning.tune_layers(base(), SEARCH, tmp_path, tuner="hyperband")


@pytest.mark.slow
def test_the_command_line(tmp_path, capsys):
    folder = tmp_path / "search"
    arguments = ["tune", "--layer-wise", "--out", str(folder), "--search", "threshold,margin"]
    arguments += ["--units", "24", "--layers", "2", "--epochs", "2", "--trials", "2"]
    arguments += ["--candidates", "1", "--batch-size", "256"]
    assert cli.main([*arguments, "--tuner", "random"]) == 0
    output = capsys.readouterr().out
    assert "Layer 1 of 2" in output and "Layer 2 of 2" in output
    command = output.strip().splitlines()[-1]
    assert "--layer-schedule greedy" in command and "--units 24,24" in command
    assert "layers_below" not in output  # there was one candidate
    for number in (1, 2):
        for picture in ("effects.png", "accuracy_map.png"):
            assert (folder / f"layer_{number}" / picture).stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["best_layers", "softmax"])
def test_a_trial_is_judged_by_what_its_network_scores_with(readout, tmp_path):
    chosen = base(units=(24, 16), epochs=4, readout=readout)
    layers = tuning.tune_layers(chosen, SEARCH, tmp_path, 1, "random", verbose=0)
    model = keras_ff.FFModel.from_preset(tmp_path / "best")
    _, validation, _ = chosen.load_data()
    found = model.evaluate(validation, verbose=0, return_dict=True)["accuracy"]
    assert layers[-1][0].score == pytest.approx(found)
