"""Presets are found, listed, and refused where their files are spoilt."""

import json
import os
import pathlib
import re
import shutil

import keras
import numpy as np
import pytest

from keras_ff import FFModel, layers, zoo
from tests.helpers.presets import DIGITS, flip_a_byte, replace, rewrite, scores

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_damaged_preset_hides_no_other(trained, tmp_path):
    for name in ("good", "bad"):
        trained[0].save_to_preset(tmp_path / name)
    (tmp_path / "bad" / "metadata.json").write_text("{")
    with pytest.warns(UserWarning, match=r"left out.*bad.*damaged"):
        found = zoo.list_presets(folders=[tmp_path])
    assert "good" in found and "bad" not in found


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = FFModel([layers.FFDense(8)], num_classes=10)
    model.build((None, 4))
    model.save_to_preset("~/mine/small")
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}
    wanted = tmp_path / "mine" / "small"
    for name in ("~/mine/small", pathlib.Path("~/mine/small")):
        assert zoo.get(name).folder == wanted
    assert zoo.get("small", folders=["~/mine"]).folder == wanted
    monkeypatch.setenv(zoo.VARIABLE, "~/mine")
    assert zoo.get("small").folder == wanted
    monkeypatch.delenv(zoo.VARIABLE)
    zoo.register("~/mine")
    assert zoo.get("small").folder == wanted


def test_a_name_that_may_mean_two_presets_is_refused(copy, tmp_path, monkeypatch):
    """A folder of one's own is not passed over in silence, nor is the preset of that name."""
    monkeypatch.chdir(tmp_path)
    name = DIGITS[0]
    copy.rename(tmp_path / name)
    said = f"say './{name}' for the folder here, or '{zoo.list_presets()[name].folder}'"
    for load in (zoo.get, FFModel.from_preset):
        with pytest.raises(ValueError, match=re.escape(said)):
            load(name)
    assert zoo.get(f"./{name}").folder.samefile(tmp_path / name)
    assert zoo.get(zoo.list_presets()[name].folder).name == name
    # Where a folder was asked for, and where the two are one, there is nothing to ask.
    assert zoo.get(name, folders=[tmp_path]).folder == tmp_path / name
    monkeypatch.chdir(zoo.list_presets()[name].folder.parent)
    assert zoo.get(name).name == name


def test_a_folder_without_a_preset_does_not_hide_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / DIGITS[0]).mkdir()
    assert zoo.get(DIGITS[0]).folder != tmp_path / DIGITS[0]


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
    rewrite(folder, format=3)


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
        (another_format, r"'format' is 1 or 2. Received: format=3"),
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


@pytest.mark.parametrize("member", ["../secret/other", "other", "."])
def test_members_are_no_paths(member, copy, tmp_path, monkeypatch):
    """A configuration of an ensemble names presets, not folders, wherever it is loaded."""
    monkeypatch.chdir(tmp_path)
    for place in (tmp_path / "secret", tmp_path):
        shutil.copytree(copy, place / "other")
    (tmp_path / "presets").mkdir()
    ensemble = shutil.copytree(copy, tmp_path / "presets" / "ensemble")
    described = {"preset": member, "share": 1.0, "sha256": {}}
    replace(ensemble, "config.json", json.dumps({"members": [described]}).encode())
    rewrite(ensemble, storage="members")
    with pytest.raises(ValueError, match="There is no preset of this name"):
        zoo.get(ensemble).members()


def test_a_folder_with_other_files_is_not_what_the_card_says(copy):
    (copy / "more.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"not the preset's. Received: more.npz"):
        zoo.get(copy).check()
