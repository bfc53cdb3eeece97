"""Configurations that hold a model, in Python and on the command line."""

import json

import keras
import pytest

import keras_ff
from keras_ff import cli, training
from keras_ff.recipes import TrainingConfig


def serialized(**changed):
    """A compiled model, as a configuration holds it."""
    model = keras_ff.models.mlp((12, 8), **changed)
    model.compile("adam", metrics=["accuracy"])
    return keras.saving.serialize_keras_object(model)


@pytest.fixture
def config():
    return TrainingConfig.for_dataset("digits", model=serialized(), epochs=1, seed=3)


def test_a_model_takes_the_place_of_options(config):
    model = config.new_model((8, 8, 1), 10, steps_per_epoch=5)
    assert [layer.units for layer in model.ff_layers] == [12, 8] and model.compiled and model.built
    assert set(config.to_dict()) == {*config.data.to_dict(), "epochs", "model"}
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.changed(epochs=2).epochs == 2
    assert config.command() == "keras-ff train --config config.json"
    assert "model" not in config.options() and config.options()["seed"] == 3


@pytest.mark.parametrize("option", [{"units": (3,)}, {"alpha": 2.0}, {"readout": "softmax"}])
def test_options_about_a_model_are_refused_beside_one(config, option):
    (name,) = option
    with pytest.raises(ValueError, match=f"leave `{name}` out. Received: {name}="):
        config.changed(**option)
    with pytest.raises(ValueError, match=f"leave `{name}` out. Received: {name}="):
        TrainingConfig(model=serialized(), **option)


@pytest.mark.slow
def test_models_that_do_not_fit_are_refused():
    def made(model):
        return TrainingConfig(model=model).new_model((8, 8, 1), 10, 5)

    with pytest.raises(ValueError, match="7 classes"):
        made(serialized(num_classes=7))
    plain = keras_ff.models.mlp((12,))
    with pytest.raises(ValueError, match="must be compiled"):
        made(keras.saving.serialize_keras_object(plain))
    with pytest.raises(ValueError, match=r"that of an FFModel\. Received: one of a Dense"):
        made(keras.saving.serialize_keras_object(keras.layers.Dense(3)))
    with pytest.raises(ValueError, match="cannot be read"):
        made({**serialized(), "config": {}})
    plain.compile()
    plain.build((None, 4, 4, 1))
    with pytest.raises(ValueError, match=r"Received: samples of shape \(8, 8, 1\)"):
        made(keras.saving.serialize_keras_object(plain))


@pytest.mark.slow
def test_train_by_a_file(config, tmp_path, capsys):
    file, run = tmp_path / "mine.json", tmp_path / "run"
    file.write_text(json.dumps(config.to_dict()))
    words = ["train", "--config", str(file), "--batch-size", "200"]
    assert cli.main([*words, "--out", str(run)]) == 0
    model, record = training.load(run)
    assert TrainingConfig.from_dict(record["config"]) == config.changed(batch_size=200)
    assert [layer.units for layer in model.ff_layers] == [12, 8]
    # What a run has written trains it again, and goes on.
    assert json.loads((run / "config.json").read_text()) == record["config"]
    again = ["train", "--config", str(run / "config.json"), "--resume", "--out", str(run)]
    assert cli.main(again) == 0
    assert "nothing was left to do" in capsys.readouterr().out
    other = config.changed(model=serialized(activation="tanh"), batch_size=200)
    file.write_text(json.dumps(other.to_dict()))
    assert cli.main(["train", "--config", str(file), "--resume", "--out", str(run)]) == 2
    assert "trains another model" in capsys.readouterr().err


def test_files_and_options_that_cannot_be_are_refused(config, tmp_path, capsys):
    def said(content, *words):
        file = tmp_path / "mine.json"
        file.write_text(content)
        assert cli.main(["train", "--config", str(file), *words]) == 2
        return capsys.readouterr().err

    assert "is damaged" in said("{")
    assert "holds no configuration. Received: [1]" in said("[1]")
    assert "not a TrainingConfig" in said('{"depth": 3}')
    assert "leave `units` out" in said(json.dumps(config.to_dict()), "--units", "3")
    assert "not allowed with argument --config" in said("{}", "--preset", "digits_mlp_relu")
    groups = TrainingConfig.for_dataset("digits", goodness="class_groups").to_dict()
    assert "Class groups learn without negatives" in said(
        json.dumps(groups), "--negatives", "hard_labels"
    )
