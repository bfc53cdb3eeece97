"""Presets that are saved: what is stored, what is refused, what is replaced."""

import errno
import json
import types

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import FFModel, layers, zoo
from keras_ff.presets import storage
from keras_ff.utils import files
from tests.helpers.presets import scores

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")


@pytest.mark.slow
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


@pytest.mark.slow
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
    without_terms = types.SimpleNamespace(
        weights=model.weights,
        layers_trained=model.layers_trained,
        all_layers=model.all_layers,
        ff_layers=[],
        readout=model.readout,
    )
    everything = storage.packed(without_terms, "float32")
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


@pytest.mark.every_case
@pytest.mark.slow
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


def test_what_a_killed_process_left_is_removed(tmp_path):
    """But not what one that is at work is writing."""
    model = FFModel([layers.FFDense(8)], num_classes=10)
    model.build((None, 4))
    for name in ("left", "busy"):
        (tmp_path / f".preset.{name:_>8}" / "new").mkdir(parents=True)
    (tmp_path / ".preset.versions").mkdir()
    (tmp_path / ".preset.versions" / "first.txt").write_text("mine")
    with files.held(tmp_path / ".preset.____busy"):
        model.save_to_preset(tmp_path / "preset")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"preset", ".preset.____busy", ".preset.versions"}


def test_a_full_disk_leaves_the_preset_that_was_there(tmp_path, monkeypatch):
    model = FFModel([layers.FFDense(8)], num_classes=10)
    model.build((None, 4))
    model.save_to_preset(tmp_path / "preset", "int8")

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        model.save_to_preset(tmp_path / "preset", "float32")
    zoo.get(tmp_path / "preset").check()
    assert zoo.get(tmp_path / "preset").storage == "int8"
    assert [path.name for path in tmp_path.iterdir()] == ["preset"]


@pytest.mark.slow
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
