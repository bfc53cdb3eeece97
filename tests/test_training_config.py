"""TrainingConfig: options without effect, and configurations that hold a model."""

import json
import shlex

import keras
import pytest

import keras_ff
from keras_ff import cli, training
from keras_ff.recipes import TrainingConfig

LABELS = ("label_embedding", "label_strength")
NEGATIVES = ("negatives", "negatives_count")
# Options of networks, by the options that have no effect in them.
FAMILIES = [
    ({}, ()),
    ({"goodness": "class_groups"}, (*NEGATIVES, *LABELS)),
    ({"architecture": "cnn"}, (*NEGATIVES, *LABELS, "peer_normalization")),
    ({"negatives": "all_labels"}, ("negatives_count",)),
    ({"negatives": "hybrid_images", "readout": "softmax"}, LABELS),
]


def serialized(**changed):
    """A compiled model, as a configuration holds it."""
    model = keras_ff.models.mlp((12, 8), **changed)
    model.compile("adam", metrics=["accuracy"])
    return keras.saving.serialize_keras_object(model)


@pytest.fixture
def config():
    return TrainingConfig.for_dataset("digits", model=serialized(), epochs=1, seed=3)


# Options without effect.


@pytest.mark.parametrize(("chosen", "idle"), FAMILIES)
def test_commands_leave_out_what_does_nothing(chosen, idle):
    config = TrainingConfig.for_dataset("digits", **chosen)
    words = shlex.split(config.command())
    for name in (*NEGATIVES, *LABELS, "peer_normalization"):
        assert ("--" + name.replace("_", "-") in words) == (name not in idle)
    for name in ("alpha", "threshold", "margin"):
        assert (f"--{name}" in words) == (name in keras_ff.losses.get(config.loss).get_config())
    # What it leaves out makes no difference.
    options = vars(cli._parser().parse_args(words[1:]))
    del options["command"]
    assert TrainingConfig.for_dataset(**options) == config


@pytest.mark.parametrize(("chosen", "idle"), FAMILIES)
def test_what_is_chosen_and_does_nothing_is_refused(chosen, idle):
    base = TrainingConfig.for_dataset("digits", **chosen)
    for name in set(idle) - set(chosen):
        # Even where it says what holds anyway.
        option = {name: getattr(base, name)}
        for choose in (lambda **more: TrainingConfig.for_dataset("digits", **more), base.changed):
            with pytest.raises(ValueError, match=f"leave `{name}` out. Received: {name}="):
                choose(**{**chosen, **option})


def test_old_configurations_that_hold_such_options_are_read():
    config = TrainingConfig.for_dataset("digits", goodness="class_groups")
    old = {**config.to_dict(), "negatives": "hard_labels", "negatives_count": 9}
    assert TrainingConfig.from_dict(old).negatives_count == 9
    assert TrainingConfig.from_dict(old).command() == config.command()


def test_learning_without_labels_is_described_by_options():
    chosen = {"negatives": "hybrid_images", "readout": "softmax", "units": (16,)}
    model = TrainingConfig.for_dataset("digits", **chosen).new_model((8, 8, 1), 10, 5)
    assert model.unsupervised and model.label_embedding is None


def test_changes_imply_what_they_imply_for_a_dataset():
    config = TrainingConfig.for_dataset("digits", units=(20,), alpha=8.0)
    assert config.changed(threshold=2.0).loss == "logistic"
    groups = config.changed(goodness="class_groups")
    assert groups.loss == "sparse_categorical_crossentropy" and groups.alpha is None
    assert config.changed(epochs=2).alpha == 8.0


# Configurations that hold a model.


def test_a_model_takes_the_place_of_options(config):
    model = config.new_model((8, 8, 1), 10, steps_per_epoch=5)
    assert [layer.units for layer in model.ff_layers] == [12, 8] and model.compiled and model.built
    assert set(config.to_dict()) == {*config.data.to_dict(), "epochs", "model"}
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert config.changed(epochs=2).epochs == 2
    assert config.command() == "keras-ff train --config config.json"


@pytest.mark.parametrize("option", [{"units": (3,)}, {"alpha": 2.0}, {"readout": "softmax"}])
def test_options_about_a_model_are_refused_beside_one(config, option):
    (name,) = option
    with pytest.raises(ValueError, match=f"leave `{name}` out. Received: {name}="):
        config.changed(**option)
    with pytest.raises(ValueError, match=f"leave `{name}` out. Received: {name}="):
        TrainingConfig(model=serialized(), **option)


def test_models_that_do_not_fit_are_refused():
    def made(model):
        return TrainingConfig(model=model).new_model((8, 8, 1), 10, 5)

    with pytest.raises(ValueError, match="7 classes"):
        made(serialized(num_classes=7))
    plain = keras_ff.models.mlp((12,))
    with pytest.raises(ValueError, match="must be a compiled FFModel"):
        made(keras.saving.serialize_keras_object(plain))
    with pytest.raises(ValueError, match="must be a compiled FFModel"):
        made(keras.saving.serialize_keras_object(keras.layers.Dense(3)))
    with pytest.raises(ValueError, match="cannot be read"):
        made({**serialized(), "config": {}})
    plain.compile()
    plain.build((None, 4, 4, 1))
    with pytest.raises(ValueError, match=r"Received: samples of shape \(8, 8, 1\)"):
        made(keras.saving.serialize_keras_object(plain))


# On the command line.


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
