"""`keras-ff zoo`: lists, cards, evaluation, training, new presets."""

import json
import shutil

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import report, training, zoo
from keras_ff.presets import folders
from keras_ff.recipes import TrainingConfig
from tests.helpers.command_line import command
from tests.helpers.presets import DIGITS, flip_a_byte, rewrite, weights

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")

SMALL = {"units": (24, 16), "epochs": 2, "batch_size": 128, "learning_rate": 0.01}


@pytest.fixture
def copy(tmp_path):
    """A preset that a test may spoil."""
    shutil.copytree(zoo.get(DIGITS[0]).folder, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small finished run of `keras-ff train`."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    config = TrainingConfig.for_dataset("digits", activation="tanh", **SMALL)
    training.train(config, folder, verbose=0)
    return folder


def test_list_is_a_table_of_what_is_asked_for():
    code, out, _ = command("zoo", "list", "--dataset", "digits", "--activation", "tanh")
    lines = out.splitlines()
    assert code == 0 and len(lines) == 2
    assert lines[0].split()[:4] == ["preset", "dataset", "architecture", "activation"]
    preset = zoo.get("digits_mlp_tanh")
    for cell in ("digits_mlp_tanh", "int8", f"{100 * preset.test_accuracy:.2f} %"):
        assert cell in lines[1]
    code, _, err = command("zoo", "list", "--dataset", "digit")
    assert code == 2 and "no such preset" in err


def test_show_prints_the_card():
    code, out, _ = command("zoo", "show", "digits_mlp_relu")
    assert code == 0 and out == zoo.get("digits_mlp_relu").card()
    code, _, err = command("zoo", "show", "digits_mlp_rule")
    assert code == 2 and "'digits_mlp_relu'" in err


@pytest.mark.slow
def test_evaluate_says_that_cards_are_right():
    code, out, err = command("zoo", "evaluate", *DIGITS)
    assert (code, err) == (0, "")
    for name in DIGITS:
        accuracy = f"{100 * zoo.get(name).test_accuracy:.2f} %"
        assert f"{name}: card {accuracy}, measured {accuracy}, difference +0.00\n" in out
    assert "2 of 2 are what their cards say." in out


@pytest.mark.slow
def test_evaluate_all_finds_what_is_wrong_and_goes_on(copy, tmp_path, monkeypatch):
    """A card that promises too much, damaged weights, no data, no figure to compare."""
    wrong = zoo.get(copy).test_accuracy + 0.001
    rewrite(copy, test_accuracy=wrong)
    shutil.copytree(zoo.get(DIGITS[1]).folder, tmp_path / "damaged")
    flip_a_byte(tmp_path / "damaged")
    shutil.copytree(copy, tmp_path / "elsewhere")
    rewrite(tmp_path / "elsewhere", dataset="a_dataset_of_mars")
    shutil.copytree(copy, tmp_path / "untested")
    rewrite(tmp_path / "untested", test_accuracy=None)
    monkeypatch.setattr(folders, "packaged", lambda: None)
    code, out, _ = command("zoo", "evaluate", "--all", "--folder", tmp_path)
    assert code == 1
    assert f"copy: card {100 * wrong:.2f} %" in out
    assert "difference -0.10: not what the card says" in out
    assert "damaged: cannot be measured." in out and "weights.npz' was changed" in out
    assert "elsewhere: skipped, the dataset 'a_dataset_of_mars' is not prepared" in out
    assert "untested: skipped, its card has no test accuracy" in out
    assert "0 of 4 are what their cards say; skipped: 2." in out
    assert command("zoo", "evaluate")[0] == command("zoo", "evaluate", "--all", "x")[0] == 2


@pytest.mark.slow
def test_train_repeats_the_recipe_and_can_be_resumed(run, tmp_path):
    preset = zoo.save_run(run, tmp_path / "own")
    words = ("zoo", "train", "own", "--folder", tmp_path, "--out", tmp_path / "again")
    code, out, err = command(*words)
    assert code == 0, err
    accuracy = preset.metadata["as_trained"]["test_accuracy"]
    assert f"test accuracy {100 * accuracy:.2f} %" in out and "The card of own:" in out
    again, _ = training.load(tmp_path / "again")
    first, _ = training.load(run)
    for one, other in zip(weights(first), weights(again), strict=True):
        np.testing.assert_array_equal(one, other)
    assert command(*words)[0] == 2  # there is a run already
    code, out, _ = command(*words, "--resume")
    assert code == 0 and "nothing was left to do" in out


@pytest.mark.slow
def test_a_network_that_no_configuration_describes_is_trained_too(tmp_path):
    layers = [keras_ff.layers.FFDense(units, normalization="layer") for units in (24, 16)]
    model = keras_ff.FFModel(layers, num_classes=10, layer_schedule="simultaneous")
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "symba", metrics=["accuracy"])
    model.build((None, 8, 8, 1))
    data = {"dataset": "digits", "batch_size": 50, "seed": 3}
    preset = zoo.save(model, tmp_path / "other", None, data=data, epochs=4)
    assert "## Limits" not in preset.card()
    words = ("zoo", "train", "other", "--folder", tmp_path, "--out", tmp_path / "run")
    code, out, err = command(*words)
    assert code == 0, err
    trained, record = training.load(tmp_path / "run")
    assert isinstance(trained.ff_layers[0].optimizer, keras.optimizers.SGD)
    assert record["epoch"] == 4 and record["config"]["seed"] == 3
    assert command(*words)[0] == 2  # there is a run already
    code, out, _ = command(*words, "--resume")
    assert code == 0 and "test accuracy" in out
    # What is said of the run is what was trained.
    page = report.write(tmp_path / "run").read_text()
    assert "keras-ff zoo train other" in page and "keras-ff train --dataset" not in page
    # Another network of the same data and epochs is not gone on with in its place.
    shutil.copytree(tmp_path / "other", tmp_path / "another")
    words = ("zoo", "train", "another", "--folder", tmp_path, "--out", tmp_path / "run")
    code, _, err = command(*words, "--resume")
    assert code == 2 and "was begun by `keras-ff zoo train other`" in err
    code, _, err = command("zoo", "add", tmp_path / "run", "--to", tmp_path)
    assert code == 2 and f"There is '{tmp_path / 'other'}' already" in err
    # And becomes a preset with weights, by whose card it is trained again.
    made = zoo.save_run(tmp_path / "run", tmp_path / "trained", "float32")
    assert (
        TrainingConfig.of_preset(made) is None
        and made.metadata["command"] == "keras-ff zoo train other"
    )
    assert made.test_accuracy > 0.3
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert made.test_accuracy == pytest.approx(metrics["test_accuracy"], abs=1e-6)
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], 10)
    model.build((None, 8, 8, 1))
    zoo.save(model, tmp_path / "mute", None)
    code, _, err = command("zoo", "train", "mute", "--folder", tmp_path, "--out", tmp_path / "no")
    assert code == 2 and "does not say how it is trained" in err


@pytest.mark.slow
def test_train_takes_a_presets_recipe_and_changes_to_it(tmp_path):
    words = ("train", "--preset", "digits_mlp_tanh", "--epochs", "1", "--units", "16", "--layers")
    code, _, err = command(*words, "1", "--out", tmp_path / "run")
    assert code == 0, err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    recipe = TrainingConfig.of_preset(zoo.get("digits_mlp_tanh")).to_dict()
    assert config == {**recipe, "epochs": 1, "units": [16]}
    # To go on means to go on with the same.
    resumed = ("--resume", "--out", tmp_path / "run")
    code, _, err = command("train", "--preset", "digits_mlp_tanh", *resumed)
    assert code == 2 and "has --units 16, " in err
    assert command(*words, "1", *resumed)[0] == 0


@pytest.mark.slow
def test_add_makes_a_preset_of_a_run(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("zoo", "add", run, "--to", "own", "--weights", "float32")
    assert code == 0, err
    preset = zoo.get(tmp_path / "own" / "digits_mlp_tanh")
    assert preset.storage == "float32"
    assert preset.test_accuracy == preset.metadata["as_trained"]["test_accuracy"]
    assert f"export {zoo.VARIABLE}={tmp_path / 'own'}" in out
    monkeypatch.setenv(zoo.VARIABLE, str(tmp_path / "own"))
    code, _, err = command("zoo", "add", run, "--to", "own")
    assert code == 2 and "There is 'own/digits_mlp_tanh' already" in err
    replacing = ("--weights", "int8", "--description", "Again.", "--replace")
    assert command("zoo", "add", run, "--to", "own", *replacing)[0] == 0
    assert "Again." in zoo.get(tmp_path / "own" / "digits_mlp_tanh").card()
    code, out, _ = command("zoo", "add", run, "--to", "own", "--name", "mine")
    assert code == 0 and "keras-ff zoo show mine" in out
    assert command("zoo", "evaluate", "mine")[0] == 0


@pytest.mark.slow
def test_evaluate_takes_a_preset():
    preset = zoo.get("digits_mlp_relu")
    code, out, err = command("evaluate", "digits_mlp_relu", "--json")
    assert code == 0, err
    found = json.loads(out)
    for name in ("test_accuracy", "validation_accuracy"):
        assert found[name] == pytest.approx(getattr(preset, name), abs=5e-4)
    for name in ("seconds", "epochs", "command", "seed"):
        assert found[name] == preset.metadata[name]
    assert np.sum(found["confusion_matrix"]) == 359
    code, _, err = command("evaluate", "digits_mlp_rel")
    assert code == 2 and "no preset of that name. Did you mean 'digits_mlp_relu'" in err
    assert command("evaluate", preset.folder, "--json")[1] == out
