"""`keras-ff train`: what it prints, what it leaves behind, and how it says what is wrong."""

import io
import json
import pathlib
import re
import shutil

import pytest

from keras_ff import recipes, training
from keras_ff.cli import printing, runs
from tests.helpers.command_line import SMALL, Command, refused


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


@pytest.mark.slow
def test_resume_starts_a_run_that_never_began(tmp_path):
    command = Command("train", "--resume", "--out", tmp_path / "new", *SMALL)
    assert command.code == 0
    assert "no run to resume" in command.out
    assert (tmp_path / "new" / "metrics.json").exists()


def test_an_interrupted_command_says_so(monkeypatch, tmp_path):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupt)
    command = Command("train", "--out", tmp_path / "run")
    assert command.code == 130 and "interrupted" in command.err


def truncated(model, path):
    path.write_bytes(model.read_bytes()[:5000])


def folder(model, path):
    path.mkdir()


def test_a_damaged_run_is_not_resumed(trained, tmp_path):
    shutil.copytree(trained[1], tmp_path / "run")
    (tmp_path / "run" / "metrics.json").unlink()
    truncated(trained[1] / "model.keras", tmp_path / "run" / "model.keras")
    assert "is not a model that keras_ff can read" in refused(
        "train", "--resume", "--out", tmp_path / "run"
    )
    (tmp_path / "run" / "config.json").write_text('{"dataset": ')
    assert "is damaged" in refused("train", "--resume", "--out", tmp_path / "run")
