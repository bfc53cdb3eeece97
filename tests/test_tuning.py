"""Tuning with real tuners of KerasTuner, on scikit-learn's digits."""

import itertools
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import keras
import keras_tuner
import numpy as np
import pytest

import keras_ff
from keras_ff import cli, datasets, tuning
from keras_ff.recipes import TrainingConfig
from keras_ff.tuning import Among, Between, FFHyperModel

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


def base(**chosen):
    settings = {"units": (24, 24), "epochs": 2, "loss": "logistic", **chosen}
    return TrainingConfig.for_dataset(**settings)


def parameters(**values):
    hp = keras_tuner.HyperParameters()
    for name, value in values.items():
        hp.Fixed(name, value)
    return hp


def tuner_of(kind, folder, hyper_model, **arguments):
    return kind(hyper_model, objective=OBJECTIVE, directory=folder, seed=0, **arguments)


def search(folder, **resume):
    names = ["threshold", "margin"]
    return tuning.tune(base(epochs=1), names, folder, 2, "random", verbose=0, **resume)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The folder of a finished search, which tests leave as it is, and its results."""
    folder = tmp_path_factory.mktemp("searched")
    return folder, search(folder)


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


@pytest.mark.parametrize("tuner", ["random", "bayesian"])
def test_a_search_begins_with_what_the_base_has(tuner, tmp_path):
    usual = base(epochs=1, goodness_scale=8.0, threshold=2.4, margin=0.8, learning_rate=2e-3)
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


def test_models_have_the_dtype_policy_of_the_configuration():
    hyper_model = FFHyperModel(base(dtype_policy="mixed_bfloat16"))
    model = hyper_model.build(parameters(threshold=0.5, margin=0.1))
    assert {layer.compute_dtype for layer in model.ff_layers} == {"bfloat16"}
    assert keras.config.dtype_policy().name == "float32"


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


def test_a_calibrated_threshold_comes_from_the_trials_own_network():
    hyper_model = FFHyperModel(base(activation="tanh"), ["threshold_rule"])
    config = hyper_model.config(parameters(threshold_rule="calibrated"))
    x, y = next(iter(config.load_data()[0]))
    expected = tuning.calibrated_thresholds(
        hyper_model.build(parameters(threshold_rule="auto")), np.array(x), np.array(y)
    )
    np.testing.assert_allclose(config.threshold, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (["treshold"], "Did you mean 'threshold'"),
        ([], "Nothing is searched"),
        (["threshold", "thresholds"], "both decide the same"),
        (["threshold_rule", "threshold"], "both decide the same"),
        (["alpha"], "has no alpha to search"),
        ({"threshold": 3}, "a pair of numbers"),
        ({"threshold": (2.0, 1.0)}, "from a lower to a higher"),
        ({"activation": ("relu", "tanh", "elu")}, "a list of values"),
    ],
)
def test_what_cannot_be_searched_is_refused(search, message):
    with pytest.raises(ValueError, match=rf"{message}.*Received"):
        FFHyperModel(base(), search)


def test_a_readout_that_learns_after_the_layers_is_not_searched():
    with pytest.raises(ValueError, match="Received: readout_epochs=3"):
        FFHyperModel(base(readout="softmax", readout_epochs=3), ["threshold"])


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


def test_a_random_search_and_its_best_model(tmp_path):
    hyper_model = FFHyperModel(base(), {"threshold": (0.2, 0.6), "margin": None})
    tuner = tuner_of(keras_tuner.RandomSearch, tmp_path, hyper_model, max_trials=2)
    tuner.search(verbose=0)
    results = tuning.results(tuner, hyper_model)
    assert [one.failed for one in results] == [False, False]
    assert results[0].score >= results[1].score > 0.3
    assert all(0.2 <= one.values["threshold"] <= 0.6 for one in results)
    assert results[0].config.threshold == results[0].values["threshold"]
    (best,) = tuner.get_best_models(1)
    _, validation, _ = results[0].config.load_data()
    score = best.evaluate(validation, verbose=0, return_dict=True)["accuracy"]
    assert score == pytest.approx(results[0].score, abs=1e-6)


def test_data_of_ones_own(tmp_path):
    train, validation, _ = datasets.load("digits", batch_size=64)
    hyper_model = FFHyperModel(base(), ["threshold"])
    tuner = tuner_of(keras_tuner.RandomSearch, tmp_path, hyper_model, max_trials=1)
    tuner.search(train.take(3), validation_data=validation, epochs=1, verbose=0)
    assert len(tuning.results(tuner, hyper_model)) == 1


@pytest.mark.parametrize("schedule", ["simultaneous", "greedy"])
def test_hyperband(schedule, tmp_path):
    epochs = []

    class Recorded(FFHyperModel):
        def fit(self, hp, model, *args, **kwargs):
            epochs.append((kwargs.get("initial_epoch", 0), kwargs["epochs"]))
            return super().fit(hp, model, *args, **kwargs)

    hyper_model = Recorded(base(units=(24,), layer_schedule=schedule), ["threshold"])
    tuner = tuner_of(keras_tuner.Hyperband, tmp_path, hyper_model, max_epochs=3, factor=3)
    tuner.search(verbose=0)
    assert {end for _, end in epochs} == {1, 3}
    assert any(start for start, _ in epochs)  # as the tuner asks for it
    assert tuning.results(tuner, hyper_model)[0].score > 0.3


def test_a_grid(tmp_path):
    hyper_model = FFHyperModel(base(epochs=1), {"activation": ["relu", "tanh"]})
    tuner = tuner_of(keras_tuner.GridSearch, tmp_path, hyper_model, max_trials=9)
    tuner.search(verbose=0)
    found = {one.values["activation"] for one in tuning.results(tuner, hyper_model)}
    assert found == {"relu", "tanh"}


def test_trials_that_fail_are_marked_and_the_search_goes_on(tmp_path):
    search = {"learning_rate": [1e7, 1e9, 3e-3]}
    hyper_model = FFHyperModel(base(epochs=8), search)
    tuner = tuner_of(keras_tuner.GridSearch, tmp_path, hyper_model, max_trials=3)
    tuner.search(verbose=0)
    results = tuning.results(tuner, hyper_model)
    assert len(results) == 3
    assert not results[0].failed and results[0].values == {"learning_rate": 3e-3}
    assert all(one.failed for one in results[1:])
    trial = tuner.oracle.trials[results[-1].trial]
    assert trial.metrics.get_best_value("failed") == 1


def test_a_killed_search_goes_on_to_the_same_number_of_trials(tmp_path):
    folder = tmp_path / "search"
    command = ["-m", "keras_ff.cli", "tune", "--out", str(folder), "--trials", "5"]
    command += ["--units", "24", "--layers", "2", "--epochs", "2", "--tuner", "random"]
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=pathlib.Path(__file__).parents[1],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    third = folder / "trials" / "trial_2" / "trial.json"
    deadline = time.time() + 100
    while not third.exists():
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    ended = subprocess.run(
        [sys.executable, *command, "--resume"],
        cwd=pathlib.Path(__file__).parents[1],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    trials = [json.loads(path.read_text()) for path in folder.glob("trials/trial_*/trial.json")]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 5
    best = max(trial["score"] for trial in trials)
    assert f"Best: validation accuracy {100 * best:.2f} %" in ended.stdout


def test_tensorboard_has_what_its_page_of_trials_shows(searched):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata
    from tensorboard.util.tensor_util import make_ndarray

    for one in searched[1]:
        (folder,) = (searched[0] / "tensorboard" / one.trial).iterdir()
        events = EventAccumulator(str(folder)).Reload()
        content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        shown = metadata.parse_session_start_info_plugin_data(content).hparams
        assert {name: value.number_value for name, value in shown.items()} == pytest.approx(
            one.values
        )
        validation = EventAccumulator(str(folder / "validation")).Reload()
        (score,) = validation.Tensors("epoch_accuracy")
        assert make_ndarray(score.tensor_proto) == pytest.approx(one.score)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_chief_and_two_workers_search_together(tmp_path):
    folder = tmp_path / "search"
    command = [sys.executable, "-m", "keras_ff.cli", "tune", "--out", str(folder), "--trials", "4"]
    command += ["--units", "24", "--layers", "2", "--epochs", "2", "--tuner", "random"]
    together = {
        **os.environ,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(free_port()),
    }
    processes = {
        name: subprocess.Popen(
            command,
            cwd=pathlib.Path(__file__).parents[1],
            env={**together, "KERASTUNER_TUNER_ID": name},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for name in ("chief", "worker_1", "worker_2")
    }
    output = {name: process.communicate(timeout=200)[0] for name, process in processes.items()}
    assert [process.returncode for process in processes.values()] == [0, 0, 0]
    trials = [json.loads(path.read_text()) for path in folder.glob("trials/trial_*/trial.json")]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 4
    best = max(trial["score"] for trial in trials)
    assert f"Best: validation accuracy {100 * best:.2f} %" in output["chief"]
    for name in ("worker_1", "worker_2"):
        assert "its chief has the results" in output[name]
        assert "Epoch" in output[name], "this worker had no trial"
    assert "Epoch" not in output["chief"]


@pytest.mark.parametrize("file", ["oracle.json", "trial_1/trial.json", "trial_0/trial.json"])
def test_a_record_that_was_cut_off_is_restored(file, searched, tmp_path):
    folder = shutil.copytree(searched[0], tmp_path / "search")
    path = folder / "trials" / file
    path.write_text(path.read_text()[:20])
    again = search(folder, resume=True)
    assert len(again) == 2 and all(one.score is not None for one in again)


def test_the_command_line_says_how_to_train_the_best(tmp_path, capsys):
    folder = tmp_path / "search"
    arguments = ["tune", "--out", str(folder), "--search", "margin,label-strength"]
    arguments += ["--units", "24", "--epochs", "3", "--trials", "2", "--tuner", "random"]
    assert cli.main(arguments) == 0
    output = capsys.readouterr().out
    best = shlex.split(output.strip().splitlines()[-1])
    assert best[:2] == ["keras-ff", "train"]
    assert best[best.index("--loss") + 1] == "logistic"
    score = float(output.split("Best: validation accuracy ")[1].split(" %")[0]) / 100
    capsys.readouterr()
    assert cli.main([*best[1:], "--out", str(tmp_path / "run")]) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["validation_accuracy"] == pytest.approx(score, abs=0.03)
    assert cli.main(arguments) == cli.USER_ERROR
    assert "--resume" in capsys.readouterr().err
    other = ["margin" if word.startswith("margin,") else word for word in arguments]
    assert cli.main([*other, "--resume"]) == cli.USER_ERROR
    assert "is another" in capsys.readouterr().err


def test_a_bayesian_search_gives_plain_numbers(tmp_path):
    # The last one is drawn by what came of the others.
    results = tuning.tune(base(epochs=1), ["margin"], tmp_path, trials=4, verbose=0)
    assert len(results) == 4
    for one in results:
        assert type(one.values["margin"]) is type(one.config.margin) is float


def test_the_best_network_is_kept_as_a_preset(searched):
    folder, (best, _) = searched
    model = keras_ff.FFModel.from_preset(folder / "best")
    _, validation, _ = best.config.load_data()
    score = model.evaluate(validation, verbose=0, return_dict=True)["accuracy"]
    assert score == pytest.approx(best.score, abs=1e-6)
    recipe = json.loads((folder / "best" / "metadata.json").read_text())["recipe"]
    assert TrainingConfig.from_dict(recipe) == best.config


def test_an_unknown_tuner_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"Did you mean 'bayesian'\?.*Received: tuner='bayes'"):
        tuning.tune(base(), ["threshold"], tmp_path, tuner="bayes")


def test_ranges():
    hp = keras_tuner.HyperParameters()
    assert isinstance(Between(1, 9).drawn(hp, "count"), int)
    assert Between(0.5, 1.0).drawn(hp, "share") == 0.5
    assert Among(("a", "b")).drawn(hp, "name") == "a"
    with pytest.raises(ValueError, match=r"something to choose from"):
        Among(())


def results_of(*scores):
    values = [{"threshold": 0.1 * (1 + index), "margin": 0.5} for index in range(len(scores))]
    return [
        tuning.Result(str(index), values[index], None, score, score < 0.2)
        for index, score in enumerate(scores)
    ]


def test_the_map_shows_every_trial_where_it_was():
    axes, bar = tuning.accuracy_map(results_of(0.5, 0.9, 0.1)).axes
    trials, failed, best = axes.collections  # and no shades, as all are on one line
    np.testing.assert_allclose(trials.get_offsets(), [[0.1, 0.5], [0.2, 0.5], [0.3, 0.5]])
    np.testing.assert_allclose(trials.get_array(), [50, 90, 10])
    np.testing.assert_allclose(failed.get_offsets(), [[0.3, 0.5]])
    np.testing.assert_allclose(best.get_offsets(), [[0.2, 0.5]])
    assert axes.get_xlabel() == "threshold (units of goodness)" and axes.get_xscale() == "log"
    assert bar.get_ylabel() == "validation accuracy (%)"


def test_the_map_is_shaded_between_trials_and_shows_the_best_of_those_in_one_place():
    places = [(0.1, 0.0), (1.0, 0.0), (0.1, 1.0), (1.0, 1.0), (1.0, 1.0)]
    results = [
        tuning.Result(str(index), {"threshold": x, "margin": y}, None, score, False)
        for index, ((x, y), score) in enumerate(zip(places, (0.2, 0.4, 0.6, 0.8, 0.3), strict=True))
    ]
    axes, _ = tuning.accuracy_map(results).axes
    shades, trials, _ = axes.collections
    np.testing.assert_allclose(trials.get_offsets(), places[:4])
    np.testing.assert_allclose(trials.get_array(), [20, 40, 60, 80])
    assert shades.levels[0] <= 20 and shades.levels[-1] >= 80
    assert shades.norm is trials.norm


@pytest.mark.parametrize("values", [(2.28, 14.7, 17.6, 69.0), (0.2, 0.5, 0.9), (1e-4, 1e-3, 1e-2)])
def test_numbers_along_logarithmic_axes_do_not_cover_one_another(values):
    results = [
        tuning.Result(str(index), {"learning_rate": value, "threshold": value}, None, 0.9, False)
        for index, value in enumerate(values)
    ]
    figure = tuning.effects(results)
    figure.canvas.draw()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        labels = [
            label.get_window_extent()
            for where, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
            if low <= where <= high and label.get_text()
        ]
        assert len(labels) >= 2
        assert not any(label.get_text() for label in axes.get_xticklabels(minor=True))
        for one, other in itertools.pairwise(labels):
            assert one.x1 < other.x0


def test_effects_show_accuracy_against_each_value():
    first, second = tuning.effects(results_of(0.5, 0.9, 0.1)).axes
    np.testing.assert_allclose(first.collections[0].get_offsets(), [[0.1, 50], [0.2, 90]])
    np.testing.assert_allclose(first.collections[1].get_offsets(), [[0.3, 10]])
    assert (first.get_xlabel(), second.get_xlabel()) == (
        "threshold (units of goodness)",
        "margin (units of goodness)",
    )


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match=r"Received: x='threshold', y='alpha'"):
        tuning.accuracy_map(results_of(0.5), y="alpha")
    with pytest.raises(ValueError, match=r"no trials to draw"):
        tuning.effects([])
