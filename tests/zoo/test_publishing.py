"""Runs become presets with the metrics of their files."""

import json

import pytest

import keras_ff
from keras_ff import FFModel, datasets, layers, training, zoo
from keras_ff.presets import storage
from keras_ff.recipes import TrainingConfig
from keras_ff.zoo import measuring
from tests.helpers.command_line import command

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")

SMALL = {"units": (24, 16), "epochs": 2, "batch_size": 128, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small finished run of `keras-ff train`."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    config = TrainingConfig.for_dataset("digits", activation="tanh", **SMALL)
    training.train(config, folder, verbose=0)
    return folder


@pytest.mark.slow
def test_a_run_becomes_a_preset_with_the_metrics_of_its_files(run, tmp_path):
    preset = zoo.save_run(run, tmp_path / "own", description="A small one.")
    config = TrainingConfig.from_dict(json.loads((run / "config.json").read_text()))
    metrics = json.loads((run / "metrics.json").read_text())
    assert TrainingConfig.of_preset(preset) == config
    assert (preset.dataset, preset.architecture, preset.activation) == ("digits", "mlp", "tanh")
    told = preset.metadata
    assert told["protocol"] == {"training": 1198, "validation": 240, "test": 359}
    assert told["seconds"] == metrics["seconds"] and told["machine"] == metrics["machine"]
    assert told["as_trained"]["test_accuracy"] == metrics["test_accuracy"]
    assert told["epochs"] == 2 and told["seed"] == 0 and told["locality"] == 1
    assert told["command"] == config.command()
    assert preset.card().startswith("# own\n\nA small one.\n")
    # Not the run's metrics, but those of what was written.
    model = preset.model()
    for part, data in zip(("validation", "test"), preset.load_data()[1:], strict=True):
        assert told[f"{part}_accuracy"] == measuring.accuracy(model, data)
    preset.check()


@pytest.mark.slow
def test_metrics_are_those_of_the_weights_as_shipped(run, tmp_path, monkeypatch):
    """Weights that lose much in storage have a card that says so."""
    monkeypatch.setitem(storage.STEPS, "int8", 1)
    preset = zoo.save_run(run, tmp_path / "coarse", weights="int8")
    as_trained = preset.metadata["as_trained"]["test_accuracy"]
    assert preset.test_accuracy < as_trained
    assert preset.test_accuracy == measuring.measure(preset).found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "chosen"),
    [({"int6": 127}, "int6"), ({"int6": 1}, "int8"), ({"int6": 1, "int8": 1}, "float16")],
)
def test_the_smallest_storage_is_chosen_that_costs_nothing(steps, chosen, run, monkeypatch):
    for kind, number in steps.items():
        monkeypatch.setitem(storage.STEPS, kind, number)
    model, record = training.load(run)
    _, validation, _ = TrainingConfig.from_dict(record["config"]).load_data()
    assert zoo.publishing.smallest_storage(model, validation) == chosen


@pytest.mark.slow
def test_models_of_other_trainings_are_published_too(tmp_path, monkeypatch):
    train, _, _ = datasets.load("digits")
    model = keras_ff.models.cnn((20, 20))
    model.compile("adam", metrics=["accuracy"])
    model.fit(train, epochs=1, verbose=0)
    preset = zoo.publish(
        model,
        tmp_path / "digits_cnn_relu",
        {"dataset": "digits"},
        architecture="cnn",
        command="python train.py",
        epochs=1,
        seed=0,
        seconds=1.0,
    )
    assert preset.activation == "relu" and preset.metadata["family"] == "class groups"
    assert measuring.measure(preset).agrees and TrainingConfig.of_preset(preset) is None
    code, _, err = command("zoo", "train", preset.folder, "--out", tmp_path / "run")
    assert code == 2 and "but by python train.py" in err
    monkeypatch.setattr(zoo.publishing, "LARGEST_FILE", 10)
    with pytest.raises(ValueError, match=r"at most 0 MB: .* Received: config.json of 0.0 MB"):
        zoo.publish(model, tmp_path / "large", {"dataset": "digits"}, "int8")


@pytest.mark.slow
def test_runs_that_cannot_be_presets_are_refused(run, tmp_path):
    with pytest.raises(ValueError, match="no complete run"):
        zoo.save_run(tmp_path, tmp_path / "preset")
    model = FFModel([layers.FFDense(9)], num_classes=3)
    model.build((None, 8, 8, 1))
    with pytest.raises(ValueError, match=r"has 3 classes, and 'digits' has 10"):
        zoo.publish(model, tmp_path / "preset", {"dataset": "digits"})
