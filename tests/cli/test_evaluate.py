"""`keras-ff evaluate`: it finds the metrics of a run again, and says what it cannot read."""

import json
import zipfile

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import recipes, training
from tests.helpers.command_line import Command, refused


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


@pytest.mark.slow
def test_evaluate_finds_the_metrics_of_the_run_again(trained):
    _, run = trained
    for model in (run, run / "model.keras"):
        command = Command("evaluate", model, "--dataset", "digits", "--json")
        assert command.code == 0 and command.err == ""
        assert json.loads(command.out) == json.loads((run / "metrics.json").read_text())


@pytest.mark.slow
def test_evaluate_prints_accuracies_and_the_confusion_matrix(trained):
    _, run = trained
    metrics = json.loads((run / "metrics.json").read_text())
    lines = Command("evaluate", run).out.splitlines()
    assert f"test accuracy {100 * metrics['test_accuracy']:.2f} %" in lines[0]
    start = lines.index(
        "Confusion matrix: a row for each true class, a column for each predicted one."
    )
    matrix = [[int(word) for word in line.split()] for line in lines[start + 2 :]]
    assert matrix == [[digit, *row] for digit, row in enumerate(metrics["confusion_matrix"])]
    for digit, (row, accuracy) in enumerate(
        zip(metrics["confusion_matrix"], metrics["per_class_accuracy"], strict=True)
    ):
        assert lines[3 + digit].split() == [str(digit), str(sum(row)), f"{100 * accuracy:.2f}", "%"]


@pytest.mark.slow
def test_evaluate_prepares_data_as_in_training(tmp_path):
    """The very same pixels: not standardised, of another size, split by another seed."""
    config = recipes.TrainingConfig.for_dataset(
        "digits", units=(16,), epochs=1, standardize=False, image_size=(6, 6), seed=9
    )
    metrics = training.train(config, tmp_path / "run", verbose=0)
    again = json.loads(Command("evaluate", tmp_path / "run", "--json").out)
    assert again["confusion_matrix"] == metrics["confusion_matrix"]


@pytest.mark.slow
def test_the_batch_size_of_evaluate_changes_no_score(trained):
    _, run = trained
    command = Command("evaluate", run, "--batch-size", "7", "--json")
    found, metrics = json.loads(command.out), json.loads((run / "metrics.json").read_text())
    assert found["confusion_matrix"] == metrics["confusion_matrix"]


@pytest.mark.slow
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
def test_models_that_cannot_be_read_end_with_a_sentence(spoil, sentence, own_model, tmp_path):
    path = tmp_path / "spoiled.keras"
    spoil(own_model, path)
    said = refused("evaluate", path, "--dataset", "digits")
    assert sentence in said and "spoiled.keras" in said
    assert len(said) < 400


def test_a_dataset_of_other_classes_or_images_is_refused(tmp_path):
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=3)
    model.compile()
    model.build((None, 8, 8, 1))
    model.save(tmp_path / "three.keras")
    assert "has 3 classes, and 'digits' has 10" in refused("evaluate", tmp_path / "three.keras")
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=10)
    model.compile()
    model.build((None, 4, 4, 1))
    model.save(tmp_path / "four.keras")
    assert "samples of shape (4, 4, 1)" in refused("evaluate", tmp_path / "four.keras")
