"""The command line: what it prints, what it leaves behind, and how it says what is wrong."""

import contextlib
import io
import json
import pathlib
import re
import shutil
import zipfile

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import cli, recipes, training
from keras_ff.cli import printing, runs
from keras_ff.version import __version__

SMALL = ("--units", "24,16", "--epochs", "2", "--batch-size", "256", "--learning-rate", "0.01")


class Command:
    """A command that has run: exit code and what it printed."""

    def __init__(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.code = cli.main([str(word) for word in words])
        self.out, self.err = out.getvalue(), err.getvalue()


def refused(*words):
    """Run a command that must fail; return the one sentence it says."""
    command = Command(*words)
    assert command.code == 2
    assert command.err.count("\n") == 1 and command.err.startswith("keras-ff")
    assert "Traceback" not in command.err
    return command.err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished `keras-ff train`, and the folder it worked in."""
    folder = tmp_path_factory.mktemp("work")
    with contextlib.chdir(folder):
        command = Command("train", *SMALL, "--seed", "3")
    (run,) = (folder / "runs").iterdir()
    return command, run


@pytest.fixture(scope="module")
def own_model(tmp_path_factory):
    """A model saved outside of any run, for ten classes of 8 × 8 images."""
    keras.utils.set_random_seed(0)
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=10)
    model.compile()
    model.build((None, 8, 8, 1))
    path = tmp_path_factory.mktemp("own") / "own.keras"
    model.save(path)
    return path


# Training.


def test_train_says_where_the_run_is_and_how_it_went(trained):
    command, run = trained
    metrics = json.loads((run / "metrics.json").read_text())
    assert command.code == 0 and command.err == ""
    assert re.fullmatch(r"digits-\d{4}-\d\d-\d\d-\d{6}", run.name)
    assert f"keras-ff train --resume --out {pathlib.Path('runs') / run.name}" in command.out
    for name in ("test", "validation"):
        accuracy = 100 * metrics[f"{name}_accuracy"]
        assert f"{name} accuracy {accuracy:.2f} %" in command.out
    for path in run.iterdir():
        assert path.name in command.out
    assert {path.suffix for path in run.iterdir()} == {".json", ".keras", ".png"}


def test_the_run_has_the_options_and_the_rest_of_the_recipe(trained):
    _, run = trained
    config = recipes.TrainingConfig.from_dict(json.loads((run / "config.json").read_text()))
    assert config == recipes.TrainingConfig.for_dataset(
        "digits", units=(24, 16), epochs=2, batch_size=256, learning_rate=0.01, seed=3
    )


def test_a_line_an_epoch_where_there_is_no_terminal(trained):
    command, _ = trained
    assert "\r" not in command.out and "\x08" not in command.out
    assert len(re.findall(r"(?m)^5/5 - .*val_accuracy: ", command.out)) == 2


def test_a_progress_bar_on_a_terminal(monkeypatch):
    assert printing.verbosity() == 2
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdout", terminal)
    assert printing.verbosity() == 1


def test_folders_of_runs_are_new_ones(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = runs.new_folder("emnist/letters:3.0.0")
    assert first.parent == pathlib.Path("runs")
    assert first.name.startswith("emnist-letters-3.0.0-")
    for _ in range(3):
        folder = runs.new_folder("digits")
        assert not folder.exists()
        folder.mkdir(parents=True)


# Resuming.


def test_a_complete_run_is_reported_again(trained):
    _, run = trained
    command = Command("train", "--resume", "--out", run)
    assert command.code == 0
    assert "complete; nothing was left to do" in command.out
    accuracy = json.loads((run / "metrics.json").read_text())["test_accuracy"]
    assert f"test accuracy {100 * accuracy:.2f} %" in command.out


def test_options_that_say_the_same_again_are_welcome(trained):
    _, run = trained
    words = ("--dataset", "digits", "--layers", "2", "--loss", "label_softmax")
    assert Command("train", "--resume", "--out", run, *SMALL, *words).code == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--epochs", "5"), "has --epochs 2, "),
        (("--units", "24"), "has --units 24,16, "),
        (("--layers", "3"), "has --units 24,16, "),
        (("--dataset", "mnist"), "has --dataset digits, "),
        (("--loss", "symba"), "has --loss label_softmax, "),
        (("--threshold", "2"), "has no --threshold, "),
        (("--flip",), "has --flip False, "),
    ],
)
def test_options_that_differ_are_named(trained, words, sentence):
    _, run = trained
    assert sentence in refused("train", "--resume", "--out", run, *words)


def test_a_run_is_not_overwritten(trained):
    _, run = trained
    assert "holds a run already: add --resume" in refused("train", "--out", run)


def test_resume_needs_a_folder_and_names_the_newest_that_is_not_complete(
    trained, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert "--out FOLDER" in refused("train", "--resume")
    shutil.copytree(trained[1], "runs/complete")
    shutil.copytree(trained[1], "runs/broken-off")
    pathlib.Path("runs/broken-off/metrics.json").unlink()
    assert f"--out {pathlib.Path('runs/broken-off')}." in refused("train", "--resume")


def test_resume_starts_a_run_that_never_began(tmp_path):
    command = Command("train", "--resume", "--out", tmp_path / "new", *SMALL)
    assert command.code == 0
    assert "no run to resume" in command.out
    assert (tmp_path / "new" / "metrics.json").exists()


# What is wrong with a command.


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--dataset", "digit"), "'digits'"),
        (("--activation", "rellu"), "Did you mean 'relu'"),
        (("--goodness", "sum_of_square"), "Did you mean 'sum_of_squares'"),
        (("--loss", "logistics"), "Did you mean 'logistic'"),
        (("--negatives", "random_label"), "Did you mean 'random_labels'"),
        (("--readout", "softmaxx"), "Did you mean 'softmax'"),
        (("--layer-schedule", "greedily"), "Did you mean 'greedy'"),
        (("--label-embedding", "apend"), "Did you mean 'append'"),
        (("--normalization", "lenght"), "Did you mean 'length'"),
        (("--threshold", "learnt"), "'learned'"),
        (("--dtype-policy", "float31"), "float31"),
        (("--loss", "symba", "--threshold", "2"), "'symba' has no threshold"),
        (("--threshold", "1,2", "--layers", "3"), "one number a layer, 3 here"),
        (("--negatives-count", "10"), "at most 9 wrong labels"),
        (("--units", "20,30", "--layers", "3"), "units=20,30"),
        (("--seed", "-1"), "seed=-1"),
        (("--units", "wide"), "--units: invalid integer or list of integers value: 'wide'"),
        (("--epoch", "3"), "unrecognized arguments: --epoch 3"),
    ],
)
def test_wrong_options_end_with_a_sentence(words, sentence, tmp_path):
    assert sentence in refused("train", *words, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_warnings_are_sentences_too(tmp_path):
    words = (*SMALL[2:], "--layers", "3", "--units", "8", "--layer-schedule", "greedy")
    command = Command("train", *words, "--out", tmp_path / "run")
    assert command.code == 0
    assert command.err.startswith("keras-ff: Greedy training over 2 epochs reaches layer 2 of 3")
    assert command.err.count("\n") == 1


def test_an_interrupted_command_says_so(monkeypatch, tmp_path):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupt)
    command = Command("train", "--out", tmp_path / "run")
    assert command.code == 130 and "interrupted" in command.err


@pytest.mark.parametrize("words", [(), ("train",), ("evaluate",)])
def test_help_lists_the_options(words):
    command = Command(*words, "--help")
    assert command.code == 0 and command.err == ""
    assert "usage: keras-ff" in command.out


def test_the_names_in_the_help_are_the_valid_ones():
    text = Command("train", "--help").out
    for names in ("logistic, symba, label_softmax", "greedy, simultaneous", "append, overlay"):
        assert names in " ".join(text.split())


def test_without_a_command_there_is_a_sentence():
    assert "COMMAND" in refused()


def test_version():
    assert Command("--version").out == f"keras-ff {__version__}\n"


# Evaluation.


def test_evaluate_finds_the_figures_of_the_run_again(trained):
    _, run = trained
    for model in (run, run / "model.keras"):
        command = Command("evaluate", model, "--dataset", "digits", "--json")
        assert command.code == 0 and command.err == ""
        assert json.loads(command.out) == json.loads((run / "metrics.json").read_text())


def test_evaluate_prints_accuracies_and_the_confusion_matrix(trained):
    _, run = trained
    metrics = json.loads((run / "metrics.json").read_text())
    lines = Command("evaluate", run).out.splitlines()
    assert f"test accuracy {100 * metrics['test_accuracy']:.2f} %" in lines[0]
    start = lines.index("Confusion matrix: a row for each true class, a column for each answer.")
    matrix = [[int(word) for word in line.split()] for line in lines[start + 2 :]]
    assert matrix == [[digit, *row] for digit, row in enumerate(metrics["confusion_matrix"])]
    for digit, (row, accuracy) in enumerate(
        zip(metrics["confusion_matrix"], metrics["per_class_accuracy"], strict=True)
    ):
        assert lines[3 + digit].split() == [str(digit), str(sum(row)), f"{100 * accuracy:.2f}", "%"]


def test_evaluate_prepares_data_as_in_training(tmp_path):
    """The very same pixels: not standardised, of another size, split by another seed."""
    config = recipes.TrainingConfig.for_dataset(
        "digits", units=(16,), epochs=1, standardize=False, image_size=(6, 6), seed=9
    )
    metrics = training.train(config, tmp_path / "run", verbose=0)
    again = json.loads(Command("evaluate", tmp_path / "run", "--json").out)
    assert again["confusion_matrix"] == metrics["confusion_matrix"]


def test_the_batch_size_of_evaluate_changes_no_answer(trained):
    _, run = trained
    command = Command("evaluate", run, "--batch-size", "7", "--json")
    found, metrics = json.loads(command.out), json.loads((run / "metrics.json").read_text())
    assert found["confusion_matrix"] == metrics["confusion_matrix"]


def test_a_model_from_outside_is_measured_with_the_defaults(own_model):
    found = json.loads(Command("evaluate", own_model, "--json").out)
    model = keras.saving.load_model(own_model)
    _, _, test = keras_ff.datasets.load("digits")
    x, y = (np.concatenate(part) for part in zip(*test.as_numpy_iterator(), strict=True))
    accuracy = np.mean(np.argmax(model.predict(x, verbose=0), axis=1) == y)
    assert found["test_accuracy"] == pytest.approx(accuracy)
    # What only a run knows is left open.
    unknown = ("validation_accuracy", "epochs", "seconds", "samples_per_second", "command")
    assert {found[name] for name in unknown} == {None}


# Models that cannot be read.


def truncated(model, path):
    path.write_bytes(model.read_bytes()[:5000])


def with_a_flipped_byte(model, path):
    content = bytearray(model.read_bytes())
    with zipfile.ZipFile(model) as archive:
        start = archive.getinfo("model.weights.h5").header_offset
    content[start + 4000] ^= 0xFF
    path.write_bytes(content)


def text(model, path):
    path.write_text("not a model\n")


def empty(model, path):
    path.write_bytes(b"")


def another_archive(model, path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing")


def folder(model, path):
    path.mkdir()


def missing(model, path):
    pass


def of_unknown_classes(model, path):
    """A file that a package which is not installed has written."""
    with zipfile.ZipFile(model) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "config.json":
                content = content.replace(b"keras_ff", b"elsewhere")
            copy.writestr(name, content)


def another_keras_model(model, path):
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]).save(path)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (truncated, "is not a model that keras_ff can read"),
        (with_a_flipped_byte, "is not a model that keras_ff can read"),
        (text, "is not a model that keras_ff can read"),
        (empty, "is not a model that keras_ff can read"),
        (another_archive, "is not a model that keras_ff can read"),
        (of_unknown_classes, "is not a model that keras_ff can read"),
        (another_keras_model, "holds a Sequential, not an FFModel"),
        (folder, "holds no model.keras"),
        (missing, "There is no model file"),
    ],
)
def test_models_that_cannot_be_read_end_with_a_sentence(spoil, sentence, trained, tmp_path):
    path = tmp_path / "spoiled.keras"
    spoil(trained[1] / "model.keras", path)
    said = refused("evaluate", path, "--dataset", "digits")
    assert sentence in said and "spoiled.keras" in said
    assert len(said) < 400


def test_a_damaged_run_is_not_resumed(trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    truncated(trained[1] / "model.keras", tmp_path / "run" / "model.keras")
    assert "is not a model that keras_ff can read" in refused(
        "train", "--resume", "--out", tmp_path / "run"
    )
    (tmp_path / "run" / "config.json").write_text('{"dataset": ')
    assert "is damaged" in refused("train", "--resume", "--out", tmp_path / "run")


def test_a_dataset_of_other_classes_or_images_is_refused(trained, monkeypatch, tmp_path):
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=3)
    model.compile()
    model.build((None, 8, 8, 1))
    model.save(tmp_path / "three.keras")
    assert "tells 3 classes apart, and 'digits' has 10" in refused(
        "evaluate", tmp_path / "three.keras"
    )
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=10)
    model.compile()
    model.build((None, 4, 4, 1))
    model.save(tmp_path / "four.keras")
    assert "samples of shape (4, 4, 1)" in refused("evaluate", tmp_path / "four.keras")
