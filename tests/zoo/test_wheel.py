"""The wheel holds the presets, and they load where it alone is."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

from keras_ff import zoo
from tests.helpers import ROOT

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package as it is installed elsewhere, built from the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "--no-build-isolation"]
    made = subprocess.run([*build, "-w", str(folder)], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.mark.slow
def test_a_wheel_holds_the_presets(wheel):
    assert wheel.stat().st_size < 90e6
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for preset in zoo.list_presets().values():
            for name in ("metadata.json", *preset.metadata["files"]):
                entry = f"keras_ff/zoo/presets/{preset.name}/{name}"
                assert archive.read(entry) == (preset.folder / name).read_bytes()
    assert not any(name.startswith("zoo/") for name in names)


@pytest.mark.slow
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
