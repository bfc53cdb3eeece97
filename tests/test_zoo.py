"""The zoo: presets that hold what their cards say, and refuse files that are not theirs."""

import functools
import hashlib
import io
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import types
import zipfile

import keras
import numpy as np
import pytest
from command_line import command

import keras_ff
from keras_ff import FFModel, cli, datasets, layers, readouts, report, training, zoo
from keras_ff.datasets import tfds_images
from keras_ff.presets import folders, storage
from keras_ff.recipes import TrainingConfig
from keras_ff.zoo import measuring

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")

ROOT = pathlib.Path(__file__).parents[1]
DIGITS = ("digits_mlp_relu", "digits_mlp_tanh")
MNIST = sorted(name for name, one in zoo.list_presets(dataset="mnist").items() if one.storage)
SMALL = {"units": (24, 16), "epochs": 2, "batch_size": 128, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def test_data():
    """Samples of the digits' test set, prepared as for the presets, as arrays."""
    return arrays(zoo.get(DIGITS[0]).load_data()[2])


@pytest.fixture(scope="module")
def read_once():
    """Datasets of TFDS are read once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfds_images, "samples", functools.cache(tfds_images.samples))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small finished run of `keras-ff train`."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    config = TrainingConfig.for_dataset("digits", activation="tanh", **SMALL)
    training.train(config, folder, verbose=0)
    return folder


@pytest.fixture(scope="module")
def trained():
    """A small network after a step, and with a threshold of its own a layer."""
    keras.utils.set_random_seed(1)
    model = FFModel([layers.FFDense(24), layers.FFDense(16)], num_classes=10)
    model.compile("adam", keras_ff.losses.Logistic(threshold="learned"), metrics=["accuracy"])
    x = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype("float32")
    model.fit(x, np.arange(64) % 10, epochs=2, verbose=0)
    return model, x


@pytest.fixture
def copy(tmp_path):
    """A preset that a test may spoil."""
    shutil.copytree(zoo.get(DIGITS[0]).folder, tmp_path / "copy")
    return tmp_path / "copy"


def weights(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def scores(model, x):
    return model.predict(x, verbose=0)


def arrays(data):
    """All samples and labels of a pipeline."""
    return tuple(map(np.concatenate, zip(*data.as_numpy_iterator(), strict=True)))


def rewrite(folder, **changed):
    """Change a preset's metadata."""
    path = folder / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def described(content):
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def replace(folder, name, content):
    """Put other content in the place of a file, as one who knows of the metadata would."""
    (folder / name).write_bytes(content)
    files = json.loads((folder / "metadata.json").read_text())["files"]
    rewrite(folder, files={**files, name: described(content)})


# The presets that come with keras_ff.


@pytest.mark.parametrize("name", sorted(zoo.list_presets()))
def test_packaged_presets_are_whole_and_small(name):
    preset = zoo.get(name)
    preset.check()
    assert preset.metadata["name"] == name == preset.folder.name
    assert name == f"{preset.dataset}_{preset.architecture}_{preset.activation}"
    assert max(one["bytes"] for one in preset.metadata["files"].values()) <= 12e6
    assert f"# {name}\n" in preset.card()
    recipe = TrainingConfig.of_preset(preset)
    if recipe is not None:
        assert recipe.command() == preset.metadata["command"]
    # A network that was not trained has no limits yet.
    assert ("## Limits" in preset.card()) == (preset.storage is not None)


def test_all_packaged_presets_together_are_small_enough_for_a_wheel():
    assert sum(preset.bytes for preset in zoo.list_presets().values()) < 80e6


@pytest.mark.parametrize("name", DIGITS)
def test_cards_hold_what_is_measured(name, test_data):
    preset = zoo.get(name)
    found = measuring.measure(preset)
    assert found.agrees and found.card == preset.test_accuracy > 0.96
    # By another way than that of `measure`.
    x, y = test_data
    model = FFModel.from_preset(name)
    hits = np.mean(np.argmax(scores(model, x), axis=1) == y)
    assert abs(100 * (hits - preset.test_accuracy)) <= 0.05
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] == pytest.approx(hits)


@pytest.mark.skipif(not datasets.is_prepared("mnist"), reason="MNIST is not prepared here")
@pytest.mark.parametrize("name", MNIST)
@pytest.mark.usefixtures("read_once")
def test_cards_of_mnist_hold_what_is_measured(name):
    preset = zoo.get(name)
    found = measuring.measure(preset)
    assert found.agrees and found.card == preset.test_accuracy > 0.97


@pytest.mark.parametrize("name", DIGITS)
def test_the_card_tells_the_figures_of_the_metadata(name):
    preset = zoo.get(name)
    card = preset.card()
    assert f"| test accuracy | {100 * preset.test_accuracy:.2f} % of 359 samples |" in card
    assert f"| validation accuracy | {100 * preset.validation_accuracy:.2f} %" in card
    assert "strictly local" in card and preset.metadata["command"] in card
    for layer, alone, first in zip(
        (1, 2),
        preset.metadata["layer_accuracy"]["alone"],
        preset.metadata["layer_accuracy"]["first"],
        strict=True,
    ):
        assert f"| {layer} | {100 * alone:.2f} % | {100 * first:.2f} % |" in card
    for picture in ("goodness_separation.png", "first_layer_filters.png"):
        assert f"]({picture})" in card
        assert preset.read(picture).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", DIGITS)
def test_the_command_on_the_card_is_the_recipe(name):
    preset = zoo.get(name)
    words = shlex.split(preset.metadata["command"])
    options = vars(cli._parser().parse_args(words[1:]))
    del options["command"]
    assert TrainingConfig.for_dataset(**options) == TrainingConfig.of_preset(preset)


def test_layers_are_measured_alone_and_together():
    """By hand, from the goodness of every label."""
    preset = zoo.get(DIGITS[1])
    model = preset.model()
    x, y = arrays(preset.load_data()[1])
    goodness = np.zeros((2, len(x), 10))
    for label in range(10):
        embedded = model.embed(x, np.full(len(x), label))
        found = model.goodness_of(model.activities(embedded))
        goodness[:, :, label] = [keras.ops.convert_to_numpy(one) for one in found]
    alone = [np.mean(np.argmax(one, axis=1) == y) for one in goodness]
    assert preset.metadata["layer_accuracy"]["alone"] == pytest.approx(alone)
    both = np.mean(np.argmax(goodness.sum(axis=0), axis=1) == y)
    assert preset.metadata["layer_accuracy"]["first"] == pytest.approx([alone[0], both])
    assert preset.validation_accuracy == pytest.approx(both)


def test_zoo_md_is_up_to_date():
    code, out, _ = command("zoo", "list", "--markdown")
    assert code == 0
    assert (ROOT / "ZOO.md").read_text() == out, "keras-ff zoo list --markdown > ZOO.md"


# Finding presets.


def test_presets_are_listed_by_what_they_are():
    assert set(zoo.list_presets(dataset="digits")) == set(DIGITS)
    assert set(zoo.list_presets("digits", activation="tanh")) == {"digits_mlp_tanh"}
    assert zoo.list_presets(dataset="digits", architecture="cnn") == {}
    preset = zoo.list_presets()["digits_mlp_relu"]
    assert (preset.dataset, preset.architecture, preset.activation) == ("digits", "mlp", "relu")


def test_an_unknown_name_names_near_ones():
    with pytest.raises(ValueError, match=r"Did you mean 'digits_mlp_tanh'.*Received: 'digits_tanh"):
        FFModel.from_preset("digits_tanh")
    with pytest.raises(ValueError, match="a name or a path"):
        FFModel.from_preset(None)


def test_presets_are_found_in_folders_of_ones_own(trained, tmp_path, monkeypatch):
    model, x = trained
    wanted = scores(model, x)
    for folder, activation in (("one", "first"), ("two", "second"), ("three", "third")):
        model.save_to_preset(tmp_path / folder / "own", "float32", activation=activation)

    def found():
        return zoo.list_presets()["own"].activation

    assert "own" not in zoo.list_presets()
    monkeypatch.setenv(zoo.VARIABLE, os.pathsep.join([str(tmp_path / "one"), "/nowhere"]))
    assert found() == "first"
    np.testing.assert_array_equal(scores(FFModel.from_preset("own"), x), wanted)
    zoo.register(tmp_path / "two")  # goes before those of the environment
    assert found() == "second"
    assert zoo.get("own", folders=[tmp_path / "three"]).activation == "third"
    assert {*DIGITS, "own"} <= set(zoo.list_presets())
    with pytest.raises(ValueError, match="no such folder"):
        zoo.register(tmp_path / "nowhere")


def test_a_damaged_preset_hides_no_other(trained, tmp_path):
    for name in ("good", "bad"):
        trained[0].save_to_preset(tmp_path / name)
    (tmp_path / "bad" / "metadata.json").write_text("{")
    with pytest.warns(UserWarning, match=r"left out.*bad.*damaged"):
        found = zoo.list_presets(folders=[tmp_path])
    assert "good" in found and "bad" not in found


# There and back.


@pytest.mark.parametrize("kind", ["float32", "float16", "int8", "int6"])
def test_a_preset_scores_as_the_model_that_was_saved(kind, trained, tmp_path):
    model, x = trained
    model.save_to_preset(tmp_path / kind, kind)
    loaded = FFModel.from_preset(tmp_path / kind)
    for before, after in zip(weights(model), weights(loaded), strict=True):
        assert before.dtype == after.dtype
        if kind == "float32" or before.ndim < 2:  # counters, biases and thresholds among them
            np.testing.assert_array_equal(before, after)
        elif kind == "float16":
            np.testing.assert_array_equal(before.astype("float16"), after)
        else:
            step = np.abs(before).max(axis=0) / {"int8": 127, "int6": 31}[kind]
            assert np.all(np.abs(before - after) <= step / 2 * (1 + 1e-5))
            assert np.max(np.abs(before - after)) > 0
    tolerance = {"float32": 0, "float16": 1e-3, "int8": 2e-2, "int6": 8e-2}[kind]
    np.testing.assert_allclose(scores(loaded, x), scores(model, x), rtol=tolerance)


def test_a_card_tells_of_the_training_what_is_known(trained, tmp_path):
    model, _ = trained
    model.save_to_preset(tmp_path / "preset", seconds=12.0)
    assert "Trained once, in 12 s." in zoo.get(tmp_path / "preset").card()
    model.save_to_preset(tmp_path / "preset", seconds=12.0, epochs=3, seed=1)
    assert "Trained once, for 3 epochs with seed 1, in 12 s." in zoo.get(tmp_path / "preset").card()


def test_storage_takes_the_room_it_should(tmp_path):
    model = FFModel([layers.FFDense(400)], num_classes=10)
    model.build((None, 20, 20, 1))
    sizes = {kind: len(storage.packed(model, kind)) for kind in storage.STORAGES}
    assert sizes["int6"] < 0.8 * sizes["int8"]
    assert sizes["int8"] < 0.6 * sizes["float16"] < 0.4 * sizes["float32"]
    model.save_to_preset(tmp_path / "preset", "int8")
    assert (tmp_path / "preset" / "weights.npz").stat().st_size == sizes["int8"]


def test_what_serves_learning_alone_is_not_stored(tmp_path):
    term = keras_ff.losses.SupCon(64, regions=4)
    convolution = layers.FFConv2D(10, goodness="class_groups", auxiliary=term)
    model = FFModel([convolution], num_classes=10, label_embedding=None, negatives=None)
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = np.random.default_rng(0).random((20, 8, 8, 1), "float32"), np.arange(20) % 10
    model.fit(x, y, verbose=0)
    model.save_to_preset(tmp_path / "preset", "float32")
    with np.load(tmp_path / "preset" / "weights.npz") as file:
        stored = sum(file[name].size for name in file.files)
    assert model.count_params() - stored == term.count_params() > 4 * 4 * 10 * 64
    loaded = FFModel.from_preset(tmp_path / "preset")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert loaded.fit(x, y, verbose=0).history["loss"][0] > 0
    # What was once stored with them is read with them.
    everything = storage.packed(
        types.SimpleNamespace(weights=model.weights, ff_layers=[]), "float32"
    )
    storage.unpack(everything, loaded, "")
    for old, new in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(old, new)


FAMILIES = {
    "class_group_cnn": lambda: keras_ff.models.cnn((10, 20), dropout=0.1),
    "attention": lambda: keras_ff.models.vision_attention(units=(20,), class_groups=True),
    "label_map": lambda: FFModel([layers.FFConv2D(6)], 10, label_embedding="label_map"),
    "unsupervised": lambda: keras_ff.models.mlp(
        (20,), label_embedding=None, negatives="hybrid_images", readout="softmax"
    ),
    "recurrent": lambda: keras_ff.models.recurrent((20, 20)),
    "validation_readout": lambda: keras_ff.models.mlp(
        (20, 20), readout=keras_ff.readouts.Goodness("validation"), activation="t_distribution"
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_networks_can_be_a_preset(family, tmp_path):
    model = FAMILIES[family]()
    model.compile("adam", metrics=["accuracy"])
    model.build((None, 8, 8, 1))
    for weight in model.weights:  # as after a training, statistics included
        if weight.dtype == "float32":
            weight.assign(weight + 0.05 * keras.random.uniform(weight.shape))
    model.save_to_preset(tmp_path / "preset", "float32")
    loaded = FFModel.from_preset(tmp_path / "preset")
    x = np.random.default_rng(0).random((6, 8, 8, 1), "float32")
    np.testing.assert_array_equal(scores(loaded, x), scores(model, x))
    assert type(loaded) is type(model) and loaded.locality == model.locality
    assert json.loads((tmp_path / "preset" / "metadata.json").read_text())["layers"] == len(
        model.ff_layers
    )


def test_what_is_loaded_is_compiled_as_before_and_goes_on_learning(trained, tmp_path):
    model, x = trained
    model.save_to_preset(tmp_path / "preset", "float32")
    loaded = FFModel.from_preset(tmp_path / "preset")
    assert loaded.loss == model.loss
    before = weights(loaded)
    history = loaded.fit(x, np.arange(64) % 10, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all() and "accuracy" in history.history
    assert any(np.any(old != new) for old, new in zip(before, weights(loaded), strict=True))


def test_dtype_policies_are_kept(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = keras_ff.models.mlp((16,))
    model.build((None, 8, 8, 1))
    model.save_to_preset(tmp_path / "preset", "float32")
    keras.config.set_dtype_policy("float32")
    loaded = FFModel.from_preset(tmp_path / "preset")
    assert loaded.ff_layers[0].compute_dtype == "bfloat16"
    x = np.random.default_rng(0).random((6, 8, 8, 1), "float32")
    np.testing.assert_array_equal(scores(loaded, x), scores(model, x))


def test_a_configuration_without_weights(tmp_path):
    config = TrainingConfig.for_dataset("digits", activation="tanh", **SMALL)
    preset = zoo.save_recipe(config, tmp_path / "best")
    assert not (tmp_path / "best" / "weights.npz").exists()
    with pytest.raises(ValueError, match=r"'best' is a configuration without weights"):
        FFModel.from_preset(tmp_path / "best")
    model = FFModel.from_preset(tmp_path / "best", load_weights=False)
    assert [layer.units for layer in model.ff_layers] == [24, 16]
    assert TrainingConfig.of_preset(preset) == config and preset.test_accuracy is None
    assert "load_weights=False" in preset.card()


def test_new_weights_are_new():
    old, new = (FFModel.from_preset(DIGITS[0], load_weights=loads) for loads in (True, False))
    assert np.any(weights(old)[1] != weights(new)[1])
    assert [one.shape for one in weights(old)] == [one.shape for one in weights(new)]


def test_the_model_must_fit(trained, tmp_path):
    model, _ = trained
    with pytest.raises(ValueError, match="must be built"):
        FFModel([layers.FFDense(8)], num_classes=10).save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match=r"'int6', 'int8', .* or 'float32'. Received: 'int4'"):
        model.save_to_preset(tmp_path / "preset", "int4")
    with pytest.raises(ValueError, match=r"no entry 'dataste'. Did you mean 'dataset'"):
        model.save_to_preset(tmp_path / "preset", dataste="digits")
    with pytest.raises(ValueError, match="holds a FFModel, not a RecurrentFFModel"):
        keras_ff.models.RecurrentFFModel.from_preset(DIGITS[0])
    assert not (tmp_path / "preset").exists()


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        (np.nan, "float32", "not a finite number"),
        (np.inf, "int8", "not a finite number"),
        (1e6, "float16", "above 65504"),
    ],
)
def test_weights_that_cannot_be_kept_are_refused(value, kind, sentence, tmp_path):
    model = FFModel([layers.FFDense(8)], num_classes=10)
    model.build((None, 8, 8, 1))
    kernel = np.zeros((74, 8), "float32")
    kernel[3, 4] = value
    model.ff_layers[0].transform.kernel.assign(kernel)
    with pytest.raises(ValueError, match=sentence):
        model.save_to_preset(tmp_path / "preset", kind)
    assert not (tmp_path / "preset").exists()


def test_a_preset_replaces_a_preset_and_nothing_else(trained, tmp_path):
    model, _ = trained
    path = tmp_path / "preset"
    path.mkdir()
    model.save_to_preset(path, "float32")  # an empty folder
    model.save_to_preset(path, "int8")
    assert zoo.get(path).storage == "int8"
    (path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"other files as well: notes.txt"):
        model.save_to_preset(path)
    assert (path / "notes.txt").read_text() == "mine" and zoo.get(path).storage == "int8"
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "work.txt").write_text("mine")
    with pytest.raises(ValueError, match="it is not a preset"):
        model.save_to_preset(foreign)
    with pytest.raises(ValueError, match="the file"):
        model.save_to_preset(foreign / "work.txt")
    assert [one.name for one in sorted(tmp_path.iterdir())] == ["foreign", "preset"]
    assert (foreign / "work.txt").read_text() == "mine"


# Files that are refused before anything is made of them.


def flip_a_byte(folder):
    content = bytearray((folder / "weights.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "weights.npz").write_bytes(content)


def flip_a_byte_of_the_configuration(folder):
    content = (folder / "config.json").read_text()
    (folder / "config.json").write_text(content.replace('"units": 200', '"units": 201', 1))


def truncate(folder):
    content = (folder / "weights.npz").read_bytes()
    (folder / "weights.npz").write_bytes(content[:-1])


def remove(folder):
    (folder / "weights.npz").unlink()


def another_presets_weights(folder):
    shutil.copy(zoo.get("digits_mlp_tanh").folder / "weights.npz", folder / "weights.npz")


def another_sha256(folder):
    files = json.loads((folder / "metadata.json").read_text())["files"]
    files["weights.npz"]["sha256"] = "0" * 64
    rewrite(folder, files=files)


def link_to_elsewhere(folder):
    (folder / "weights.npz").rename(folder.parent / "weights.npz")
    (folder / "weights.npz").symlink_to(folder.parent / "weights.npz")


def path_upwards(folder):
    files = json.loads((folder / "metadata.json").read_text())["files"]
    rewrite(folder, files={**files, "../weights.npz": files["weights.npz"]})


def absolute_path(folder):
    files = json.loads((folder / "metadata.json").read_text())["files"]
    rewrite(folder, files={**files, str(folder / "weights.npz"): files["weights.npz"]})


def another_format(folder):
    rewrite(folder, format=2)


def no_files(folder):
    rewrite(folder, files={})


def no_family(folder):
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text())
    del metadata["family"]
    path.write_text(json.dumps(metadata))


def metadata_of_another_kind(folder):
    (folder / "metadata.json").write_text("[]")


def no_metadata(folder):
    (folder / "metadata.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (flip_a_byte, r"weights.npz' was changed .* Received: a file with SHA-256"),
        (flip_a_byte_of_the_configuration, r"config.json' was changed"),
        (truncate, r"weights.npz' is not the one .* has 5\d+ bytes.* Received: 5\d+ bytes"),
        (remove, r"weights.npz' of the preset is missing"),
        (another_presets_weights, r"weights.npz' is not the one"),
        (another_sha256, r"weights.npz' was changed"),
        (link_to_elsewhere, r"lie in its own folder.* Received: 'weights.npz'"),
        (path_upwards, r"outside of the preset's folder. Received: '../weights.npz'"),
        (absolute_path, r"outside of the preset's folder"),
        (another_format, r"'format' is 1. Received: format=2"),
        (no_family, r"must tell the preset's 'parameters', 'storage', 'family', 'locality'"),
        (no_files, r"must list the preset's 'files'"),
        (metadata_of_another_kind, r"Received: format=False"),
        (no_metadata, r"There is no preset in"),
    ],
)
def test_spoiled_presets_are_refused_before_anything_is_read(spoil, sentence, copy, monkeypatch):
    spoil(copy)

    def read(*args, **kwargs):
        raise AssertionError("the file was made sense of")

    monkeypatch.setattr(np, "load", read)
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", read)
    with pytest.raises(ValueError, match=sentence):
        FFModel.from_preset(copy)


def as_npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def of_another_network(folder):
    model = FFModel([layers.FFDense(8), layers.FFDense(8)], num_classes=10)
    model.build((None, 8, 8, 1))
    replace(folder, "weights.npz", storage.packed(model, "int8"))


def of_a_shorter_network(folder):
    model = FFModel([layers.FFDense(8)], num_classes=10)
    model.build((None, 8, 8, 1))
    replace(folder, "weights.npz", storage.packed(model, "int8"))


def pickled(folder):
    replace(folder, "weights.npz", as_npz(**{"000_layers_trained": np.array([{}], "object")}))


def no_archive(folder):
    replace(folder, "weights.npz", b"no weights at all")


def one_array(folder):
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    replace(folder, "weights.npz", file.getvalue())


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (of_another_network, r"'ff_dense/dense/kernel' has the shape \(74, 200\).* \(74, 8\)"),
        (of_a_shorter_network, r"weights of another network: this one has 000_layers_trained"),
        (pickled, r"not a file of weights"),
        (no_archive, r"not a file of weights"),
        (one_array, r"not a file of weights"),
    ],
)
def test_foreign_weights_are_refused(spoil, sentence, copy):
    """Even where the metadata were made to fit."""
    spoil(copy)
    with pytest.raises(ValueError, match=sentence):
        FFModel.from_preset(copy)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (b"{", "is damaged"),
        (b'{"module": "keras_ff.nowhere", "class_name": "Other", "config": {}}', "cannot be read"),
    ],
)
def test_foreign_configurations_are_refused(config, sentence, copy):
    replace(copy, "config.json", config)
    with pytest.raises(ValueError, match=sentence):
        FFModel.from_preset(copy)


def test_other_models_are_refused(copy):
    dense = keras.saving.serialize_keras_object(keras.layers.Dense(3))
    replace(copy, "config.json", json.dumps(dense).encode())
    with pytest.raises(ValueError, match=r"must be that of an FFModel. Received: one of a Dense"):
        FFModel.from_preset(copy)


def test_a_folder_with_other_files_is_not_what_the_card_says(copy):
    (copy / "more.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"not the preset's. Received: more.npz"):
        zoo.get(copy).check()


# Learning on.


def test_other_classes_take_over_all_that_fits(trained, tmp_path):
    model, x = trained
    model.save_to_preset(tmp_path / "preset", "float32")
    other = FFModel.from_preset(tmp_path / "preset", num_classes=3)
    assert other.num_classes == 3 and scores(other, x).shape == (64, 3)
    old, new = model.ff_layers[0].transform.kernel, other.ff_layers[0].transform.kernel
    assert new.shape == (67, 24)
    np.testing.assert_array_equal(old[:64], new[:64])
    assert not np.any(np.isin(np.array(new[64:]), np.array(old[64:])))
    for before, after in zip(weights(model), weights(other), strict=True):
        if before.shape == after.shape:
            np.testing.assert_array_equal(before, after)
    history = other.fit(x, np.arange(64) % 3, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_other_classes_of_a_preset_with_many_negatives(test_data):
    """Digits below three: five wrong labels a sample become two, and most is known already."""
    x, y = test_data
    x, y = x[y < 3], y[y < 3]
    model = FFModel.from_preset(DIGITS[1], num_classes=3)
    assert model.negatives.count == 2
    model.fit(x[:50], y[:50], epochs=5, verbose=0)
    assert model.evaluate(x[50:], y[50:], verbose=0, return_dict=True)["accuracy"] > 0.9


def test_class_groups_are_divided_anew(tmp_path):
    model = keras_ff.models.cnn((20,))
    model.compile()
    model.build((None, 8, 8, 1))
    model.save_to_preset(tmp_path / "preset", "float32")
    other = FFModel.from_preset(tmp_path / "preset", num_classes=5)
    np.testing.assert_array_equal(
        model.ff_layers[0].transform.kernel, other.ff_layers[0].transform.kernel
    )
    x = np.zeros((2, 8, 8, 1), "float32")
    assert scores(other, x).shape == (2, 5)
    with pytest.raises(ValueError, match="cannot be divided among 3 classes"):
        FFModel.from_preset(tmp_path / "preset", num_classes=3)
    with pytest.raises(ValueError, match=r"at least 2. Received: num_classes=1"):
        FFModel.from_preset(tmp_path / "preset", num_classes=1)


@pytest.mark.parametrize("num_classes", [None, 5])
def test_another_readout_of_the_same_layers(num_classes, tmp_path):
    model = keras_ff.models.cnn((20, 20), readout=readouts.Goodness("validation", mirrored=True))
    model.compile(metrics=["accuracy"])
    x = np.random.default_rng(0).normal(size=(60, 8, 8, 1)).astype("float32")
    y = np.arange(60) % 5
    x[np.arange(60), y] += 3.0
    model.fit(x, y, validation_data=(x, y), epochs=1, verbose=0)
    model.save_to_preset(tmp_path / "preset", "float32")
    head = readouts.Softmax("all", keras.optimizers.Adam(0.1), regions=1, standardized=True)
    other = FFModel.from_preset(tmp_path / "preset", num_classes=num_classes, readout=head)
    for before, after in zip(model.ff_layers, other.ff_layers, strict=True):
        for old, new in zip(before.get_weights(), after.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    assert int(other.layers_trained) == 2
    np.testing.assert_array_equal(scores(other, x), np.zeros((60, num_classes or 10)))
    other.fit_readout(x, y, batch_size=4, epochs=12, verbose=0)
    assert other.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.7

    # And back: the head is left behind.
    other.save_to_preset(tmp_path / "read", "float32")
    goodness = readouts.Goodness([1])
    again = FFModel.from_preset(tmp_path / "read", readout=goodness)
    assert isinstance(again.readout, readouts.Goodness)
    expected = other.goodness_of(other.activities(x))[1]
    np.testing.assert_allclose(scores(again, x), expected, rtol=1e-5)
    # The head itself is among what was saved.
    kept = FFModel.from_preset(tmp_path / "read")
    np.testing.assert_allclose(scores(kept, x), scores(other, x), rtol=1e-5)


def test_another_readout_must_be_one():
    with pytest.raises(ValueError, match="Did you mean 'softmax'"):
        FFModel.from_preset(DIGITS[0], readout="sofmax")


def test_frozen_layers_stay_as_they_are(test_data):
    x, y = test_data
    model = FFModel.from_preset(DIGITS[0])
    first, second = model.ff_layers
    first.trainable = False
    before = [keras.ops.convert_to_numpy(layer.transform.kernel) for layer in (first, second)]
    model.fit(x[:100], y[:100], epochs=1, verbose=0)
    np.testing.assert_array_equal(before[0], first.transform.kernel)
    assert np.any(before[1] != keras.ops.convert_to_numpy(second.transform.kernel))


def test_a_preset_goes_on_by_backpropagation(test_data):
    x, y = test_data
    network = FFModel.from_preset(DIGITS[0]).to_backprop()
    network.compile(
        keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    network.fit(x[:200], y[:200], epochs=10, verbose=0)
    # 200 samples alone would not do.
    assert network.evaluate(x[200:], y[200:], verbose=0, return_dict=True)["accuracy"] > 0.93


# From a run to a preset.


def test_a_run_becomes_a_preset_with_the_figures_of_its_files(run, tmp_path):
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
    # Not the run's figures, but those of what was written.
    model = preset.model()
    for part, data in zip(("validation", "test"), preset.load_data()[1:], strict=True):
        assert told[f"{part}_accuracy"] == measuring.accuracy(model, data)
    preset.check()


def test_figures_are_those_of_the_weights_as_shipped(run, tmp_path, monkeypatch):
    """Weights that lose much in storage have a card that says so."""
    monkeypatch.setitem(storage.STEPS, "int8", 1)
    preset = zoo.save_run(run, tmp_path / "coarse", weights="int8")
    as_trained = preset.metadata["as_trained"]["test_accuracy"]
    assert preset.test_accuracy < as_trained
    assert preset.test_accuracy == measuring.measure(preset).found


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


def test_runs_that_cannot_be_presets_are_refused(run, tmp_path):
    with pytest.raises(ValueError, match="no complete run"):
        zoo.save_run(tmp_path, tmp_path / "preset")
    model = FFModel([layers.FFDense(9)], num_classes=3)
    model.build((None, 8, 8, 1))
    with pytest.raises(ValueError, match=r"tells 3 classes apart, and 'digits' has 10"):
        zoo.publish(model, tmp_path / "preset", {"dataset": "digits"})


# The command line.


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


def test_evaluate_says_that_cards_are_right():
    code, out, err = command("zoo", "evaluate", *DIGITS)
    assert (code, err) == (0, "")
    for name in DIGITS:
        accuracy = f"{100 * zoo.get(name).test_accuracy:.2f} %"
        assert f"{name}: card {accuracy}, measured {accuracy}, difference +0.00\n" in out
    assert "2 of 2 are what their cards say." in out


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
    assert "untested: skipped, its card tells no test accuracy" in out
    assert "0 of 4 are what their cards say; skipped: 2." in out
    assert command("zoo", "evaluate")[0] == command("zoo", "evaluate", "--all", "x")[0] == 2


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


# Installed.


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as it is installed elsewhere, built from the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation"]
    made = subprocess.run([*build, "-w", str(folder)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_a_wheel_holds_the_presets(wheel):
    assert wheel.stat().st_size < 90e6
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for preset in zoo.list_presets().values():
            for name in ("metadata.json", *preset.metadata["files"]):
                entry = f"keras_ff/zoo/presets/{preset.name}/{name}"
                assert archive.read(entry) == (preset.folder / name).read_bytes()
    assert not any(name.startswith("zoo/") for name in names)


def test_presets_load_where_the_wheel_alone_is(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = """
import keras_ff
print(keras_ff.__file__)
model = keras_ff.FFModel.from_preset("digits_mlp_relu")
_, _, test = keras_ff.zoo.get("digits_mlp_relu").load_data()
print(model.evaluate(test, verbose=0, return_dict=True)["accuracy"])
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "installed")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    file, accuracy = done.stdout.split()
    assert pathlib.Path(file).is_relative_to(tmp_path / "installed")
    assert float(accuracy) == pytest.approx(zoo.get("digits_mlp_relu").test_accuracy, abs=5e-4)
