"""Searches with real tuners of KerasTuner, on scikit-learn's digits."""

import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import keras_tuner
import pytest

import keras_ff
from keras_ff import cli, datasets, tuning
from keras_ff.recipes import TrainingConfig
from keras_ff.tuning import FFHyperModel, search as searches
from keras_ff_cli.exit_codes import USER_ERROR
from tests.helpers import ROOT
from tests.helpers.tuning import base

pytestmark = pytest.mark.usefixtures("eager_functions")

OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


def tuner_of(kind, folder, hyper_model, **arguments):
    return kind(hyper_model, objective=OBJECTIVE, directory=folder, seed=0, **arguments)


def small(**chosen):
    """What is trained in a second: one layer, for three steps."""
    settings = {"units": (24,), "epochs": 1, "batch_size": 512, "learning_rate": 0.01, **chosen}
    return base(**settings)


def search(folder, **resume):
    names = ["threshold", "margin"]
    return tuning.tune(small(), names, folder, 2, "random", verbose=0, **resume)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The folder of a finished search, which tests leave as it is, and its results."""
    folder = tmp_path_factory.mktemp("searched")
    return folder, search(folder)


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


@pytest.mark.parametrize("tuner", ["random", "bayesian"])
def test_the_seed_zero_decides_what_is_drawn_as_any_other_does(tuner, tmp_path, monkeypatch):
    monkeypatch.setattr(keras_tuner.Tuner, "search", lambda self, **how: None)
    drawn = []
    for seed in (1, 2):
        random.seed(seed)
        found = searches._search(
            FFHyperModel(small(), ["threshold"]), tmp_path / str(seed), 2, tuner, False, 0, seed=0
        )
        found.oracle.beginnings = []
        drawn.append(found.oracle.populate_space("0"))
    assert drawn[0] == drawn[1] and drawn[0]["values"]


@pytest.mark.slow
def test_a_random_search_and_its_best_model(tmp_path):
    hyper_model = FFHyperModel(small(epochs=2), {"threshold": (0.2, 0.6), "margin": None})
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


@pytest.mark.slow
def test_data_of_ones_own(tmp_path):
    train, validation, _ = datasets.load("digits", batch_size=64)
    hyper_model = FFHyperModel(small(), ["threshold"])
    tuner = tuner_of(keras_tuner.RandomSearch, tmp_path, hyper_model, max_trials=1)
    tuner.search(train.take(3), validation_data=validation, epochs=1, verbose=0)
    assert len(tuning.results(tuner, hyper_model)) == 1


@pytest.mark.slow
def test_hyperband(tmp_path):
    epochs = []

    class Recorded(FFHyperModel):
        def fit(self, hp, model, *args, **kwargs):
            epochs.append((kwargs.get("initial_epoch", 0), kwargs["epochs"]))
            return super().fit(hp, model, *args, **kwargs)

    hyper_model = Recorded(small(epochs=3, layer_schedule="greedy"), ["threshold"])
    tuner = tuner_of(keras_tuner.Hyperband, tmp_path, hyper_model, max_epochs=3, factor=3)
    tuner.search(verbose=0)
    assert {end for _, end in epochs} == {1, 3}
    assert any(start for start, _ in epochs)  # as the tuner asks for it
    assert tuning.results(tuner, hyper_model)[0].score > 0.3


@pytest.mark.slow
def test_a_grid(tmp_path):
    hyper_model = FFHyperModel(small(), {"activation": ["relu", "tanh"]})
    tuner = tuner_of(keras_tuner.GridSearch, tmp_path, hyper_model, max_trials=9)
    tuner.search(verbose=0)
    found = {one.values["activation"] for one in tuning.results(tuner, hyper_model)}
    assert found == {"relu", "tanh"}


@pytest.mark.slow
def test_trials_that_fail_are_marked_and_the_search_goes_on(tmp_path):
    search = {"learning_rate": [1e7, 1e9, 3e-3]}
    hyper_model = FFHyperModel(small(epochs=8), search)
    tuner = tuner_of(keras_tuner.GridSearch, tmp_path, hyper_model, max_trials=3)
    tuner.search(verbose=0)
    results = tuning.results(tuner, hyper_model)
    assert len(results) == 3
    assert not results[0].failed and results[0].values == {"learning_rate": 3e-3}
    assert all(one.failed for one in results[1:])
    trial = tuner.oracle.trials[results[-1].trial]
    assert trial.metrics.get_best_value("failed") == 1


@pytest.mark.slow
def test_a_killed_search_goes_on_to_the_same_number_of_trials(tmp_path):
    folder = tmp_path / "search"
    command = ["-m", "keras_ff.cli", "tune", "--out", str(folder), "--trials", "2"]
    command += ["--units", "24", "--layers", "1", "--epochs", "1", "--tuner", "random"]
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    second = folder / "trials" / "trial_1" / "trial.json"
    deadline = time.time() + 300
    while not second.exists():
        assert time.time() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    ended = subprocess.run(
        [sys.executable, *command, "--resume"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    trials = [json.loads(path.read_text()) for path in folder.glob("trials/trial_*/trial.json")]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 2
    best = max(trial["score"] for trial in trials)
    assert f"Best: validation accuracy {100 * best:.2f} %" in ended.stdout


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_chief_and_two_workers_search_together(tmp_path):
    folder = tmp_path / "search"
    command = [sys.executable, "-m", "keras_ff.cli", "tune", "--out", str(folder), "--trials", "4"]
    command += ["--units", "24", "--layers", "1", "--epochs", "2", "--tuner", "random"]
    together = {
        **os.environ,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": str(free_port()),
    }
    processes = {
        name: subprocess.Popen(
            command,
            cwd=ROOT,
            env={**together, "KERASTUNER_TUNER_ID": name},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for name in ("chief", "worker_1", "worker_2")
    }
    output = {name: process.communicate(timeout=300)[0] for name, process in processes.items()}
    assert [process.returncode for process in processes.values()] == [0, 0, 0]
    trials = [json.loads(path.read_text()) for path in folder.glob("trials/trial_*/trial.json")]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 4
    best = max(trial["score"] for trial in trials)
    assert f"Best: validation accuracy {100 * best:.2f} %" in output["chief"]
    for name in ("worker_1", "worker_2"):
        assert "its chief has the results" in output[name]
        assert "Epoch" in output[name], "this worker had no trial"
    assert "Epoch" not in output["chief"]


@pytest.mark.slow
@pytest.mark.parametrize("file", ["oracle.json", "trial_1/trial.json", "trial_0/trial.json"])
def test_a_record_that_was_cut_off_is_restored(file, searched, tmp_path):
    folder = shutil.copytree(searched[0], tmp_path / "search")
    path = folder / "trials" / file
    path.write_text(path.read_text()[:20])
    again = search(folder, resume=True)
    assert len(again) == 2 and all(one.score is not None for one in again)


@pytest.mark.slow
@pytest.mark.parametrize("layers", ["1", "2"])
def test_the_command_line_says_how_to_train_the_best(layers, tmp_path, capsys):
    folder = tmp_path / "search"
    arguments = ["tune", "--out", str(folder), "--search", "margin,label-strength"]
    arguments += ["--units", "24", "--layers", layers, "--epochs", "3", "--batch-size", "512"]
    arguments += ["--trials", "2", "--tuner", "random"]
    assert cli.main(arguments) == 0
    output = capsys.readouterr().out
    best = shlex.split(output.strip().splitlines()[-1])
    assert best[:2] == ["keras-ff", "train"]
    assert best[best.index("--loss") + 1] == "logistic"
    score = float(output.split("Best: validation accuracy ")[1].split(" %")[0]) / 100
    capsys.readouterr()
    assert cli.main([*best[1:], "--out", str(tmp_path / "run")]) == 0
    # The trial again, epoch by epoch; its best one counts.
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert max(history["val_accuracy"]) == pytest.approx(score, abs=1e-4)
    assert cli.main(arguments) == USER_ERROR
    assert "--resume" in capsys.readouterr().err
    other = ["margin" if word.startswith("margin,") else word for word in arguments]
    assert cli.main([*other, "--resume"]) == USER_ERROR
    assert "is another" in capsys.readouterr().err


@pytest.mark.slow
def test_a_bayesian_search_gives_plain_numbers(tmp_path):
    # The last one is drawn by what came of the others.
    results = tuning.tune(small(), ["margin"], tmp_path, trials=4, verbose=0)
    assert len(results) == 4
    for one in results:
        assert type(one.values["margin"]) is type(one.config.margin) is float


@pytest.mark.slow
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
