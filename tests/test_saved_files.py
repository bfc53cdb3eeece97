"""Files that an old version saved: they load, score as they did, and go on learning as they did.

`saved_files/make.py` made them, and says how.
"""

import json
import shutil

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import training
from keras_ff.recipes import TrainingConfig
from tests.helpers import mostly_slow
from tests.saved_files import measuring

RUNS = ("run_in_layer", "run_in_readout")
OTHERS = ("zoo", *RUNS)
NAMES = sorted(path.stem for path in measuring.FOLDER.glob("*.json") if path.stem not in OTHERS)
# That files are read, quick tests see; the others take long to compile.
QUICK = ("averaged_softmax", "greedy")
# Relative and absolute: of a file's scores, and of what it learns, where rounding adds up.
TOLERANCES = ((1e-4, 1e-5), (2e-3, 1e-3))
# One sample of 64 may tip over.
ACCURACY = 1.5 / 64


def tolerances(expected):
    """Relative and absolute ones, of a file's scores and of what it learns."""
    return expected.get("tolerance", TOLERANCES)


def assert_close(found, expected, tolerance, what):
    relative, absolute = tolerance
    np.testing.assert_allclose(found, expected, rtol=relative, atol=absolute, err_msg=what)


def assert_evaluation(model, found, expected, tolerance, what):
    """The same loss, accuracy and loss of each layer that has learned."""
    layers = [name for name in expected if name.startswith("layer_")]
    for name, value in expected.items():
        if name == "accuracy":
            assert found[name] == pytest.approx(value, abs=ACCURACY), what
        elif name != "loss" or len(layers) in (0, len(getattr(model, "ff_layers", ()))):
            # What layers that have not been reached add to the loss is no matter of files.
            assert_close(found[name], value, tolerance, f"{name}, {what}")


@pytest.mark.every_case
@mostly_slow("name", NAMES, quick=[NAMES.index(name) for name in QUICK])
def test_a_saved_model_scores_as_it_did(name):
    expected = measuring.expected(name)
    found = measuring.scores(measuring.load(name), expected["scale"])
    assert_close(found, expected["scores"], tolerances(expected)[0], "scores of the file")


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.not_under("torch", "the files hold what came of it under the other backends")
@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_goes_on_learning_as_it_did(name):
    expected = measuring.expected(name)
    exact, learned = tolerances(expected)
    model = measuring.load(name)
    found = measuring.measured(model, expected["go_on"], expected["scale"])
    values = expected[measuring.backend()]  # what is drawn at random differs
    assert_evaluation(model, found["evaluation"], values["evaluation"], exact, "of the file")
    moved = np.subtract(found["scores_after"], expected["scores"])
    assert np.abs(moved).max() > 0.05
    assert_close(found["scores_after"], values["scores_after"], learned, "scores afterwards")
    after = found["evaluation_after"], values["evaluation_after"]
    assert_evaluation(model, *after, learned, "afterwards")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits_mlp_relu", "digits_mlp_tanh"])
def test_presets_of_the_zoo_score_as_they_did(name):
    expected = measuring.expected("zoo")
    scores = measuring.scores(keras_ff.FFModel.from_preset(name), expected["scale"])
    assert_close(scores, expected[name], TOLERANCES[0], "scores of the preset")


@pytest.mark.slow
@pytest.mark.tensorflow("the rest of a run depends on random numbers, which differ under others")
@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_was_killed_is_resumed(name, tmp_path):
    expected = measuring.expected(name)
    folder = tmp_path / "run"
    shutil.copytree(measuring.FOLDER / name, folder)
    _, run = training.load(folder)
    assert run["epoch"] == expected["stopped_after"]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    metrics = training.train(TrainingConfig.from_dict(config), folder, resume=True, verbose=0)
    wanted = expected["metrics"]
    for part in ("test_accuracy", "validation_accuracy"):
        assert metrics[part] == pytest.approx(wanted[part], abs=0.01)
    moved = np.abs(np.subtract(metrics["confusion_matrix"], wanted["confusion_matrix"])).sum()
    assert moved <= 4  # of 359 samples, two
    assert metrics["epochs"] == wanted["epochs"]
    # The temperature of the readout has come since.
    assert metrics["parameters"] == wanted["parameters"] + 1
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    for key, values in expected["history"].items():
        for found, value in zip(history[key], values, strict=True):
            if value is not None:  # a layer that has not been reached
                assert found == pytest.approx(value, rel=5e-3, abs=0.01), key
    assert isinstance(keras.saving.load_model(folder / "model.keras"), keras_ff.FFModel)
