"""The network that is trained on a GPU: how its images are varied, and its four steps."""

import dataclasses
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from keras_ff import zoo
from keras_ff.lab.experiments import wide_convolutions
from tests.helpers import ROOT

STILL = {"shift": 0, "flip": False, "erase": None}


def images_of(count, side=8):
    """Images of which no two pixels are equal, row by row and then column by column."""
    every = np.arange(count * side * side * 3) % 256
    return every.reshape(count, side, side, 3).astype("uint8")


def varied(images, seed=0, **options):
    config = wide_convolutions.recipe(**{**STILL, **options})
    return np.asarray(wide_convolutions.varied(images, jax.random.key(seed), config))


def moved(image, down, right):
    """An image of which the pixel at (row, column) was at (row + down, column + right)."""
    rows, columns = (np.clip(np.arange(8) + step, 0, 7) for step in (down, right))
    return image[rows][:, columns]


@pytest.mark.slow
def test_without_variation_images_stay_as_they_are():
    images = images_of(20)
    np.testing.assert_array_equal(varied(images), images)


@pytest.mark.slow
def test_images_are_moved_within_bounds_each_by_itself():
    images = images_of(200)
    steps = set()
    for before, after in zip(images, varied(images, shift=2), strict=True):
        found = {
            (down, right)
            for down in range(-7, 8)
            for right in range(-7, 8)
            if np.array_equal(after, moved(before, down, right))
        }
        assert len(found) == 1
        steps |= found
    assert {down for down, _ in steps} == {right for _, right in steps} == {-2, -1, 0, 1, 2}


@pytest.mark.slow
def test_half_of_the_images_are_mirrored():
    images = images_of(400)
    after = varied(images, flip=True)
    same = (after == images).all(axis=(1, 2, 3))
    mirrored = (after == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert np.all(same ^ mirrored)
    assert 150 < mirrored.sum() < 250


@pytest.mark.slow
def test_a_square_gets_the_mean_colour():
    images = images_of(400)
    after = varied(images, erase=4)
    colour = np.round(images.mean(axis=(1, 2), keepdims=True)).astype("uint8")
    erased = (after == colour).all(axis=-1)
    np.testing.assert_array_equal(after[~erased], images[~erased])
    sides = []
    for one in erased:
        rows, columns = (np.flatnonzero(one.any(axis=axis)) for axis in (1, 0))
        assert one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        sides.append((len(rows), len(columns)))
    # Its middle is any pixel, so that at the edges less is erased.
    assert set(sides) == {(height, width) for height in (2, 3, 4) for width in (2, 3, 4)}


@pytest.mark.slow
def test_an_epoch_has_every_sample_once_and_the_seed_decides_all():
    images, labels = images_of(20), np.arange(20, dtype="int32")
    config = wide_convolutions.recipe(batch_size=5, **STILL)

    def epochs(config):
        batches = wide_convolutions.batches(images, labels, config)
        every = [next(batches) for _ in range(8)]
        return every[:4], every[4:]

    first, second = epochs(config)
    orders = [np.concatenate([y for _, y in epoch]) for epoch in (first, second)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))
    assert orders[0].tolist() != orders[1].tolist()
    x = np.concatenate([x for x, _ in first])
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2)), 1, atol=1e-5)
    again = np.concatenate([x for x, _ in epochs(config)[0]])
    np.testing.assert_array_equal(again, x)
    other = np.concatenate([x for x, _ in epochs(dataclasses.replace(config, seed=1))[0]])
    assert not np.array_equal(other, x)


@pytest.mark.slow
def test_training_needs_no_tensorflow_and_writes_what_can_be_published(tmp_path):
    generator = np.random.default_rng(0)
    labels = np.arange(500, dtype="int32") % 10
    # A colour for each class, so that there is something to be learned at once.
    colours = generator.integers(0, 256, (10, 1, 1, 3))
    images = np.broadcast_to(colours[labels], (500, 32, 32, 3)).astype("uint8")
    np.savez(
        tmp_path / "images.npz",
        training_images=images,
        training_labels=labels,
        validation_images=images[:250],
        validation_labels=labels[:250],
    )
    code = (
        "import runpy, sys; sys.modules['tensorflow'] = None; "
        "runpy.run_module('keras_ff.experiments.wide_convolutions', run_name='__main__')"
    )
    arguments = ["train", tmp_path / "images.npz", tmp_path / "trained"]
    arguments += ["--units", "10", "20", "--epochs", "2"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    preset = zoo.get(tmp_path / "trained")
    told = preset.metadata
    assert told["epochs"] == 2 and told["seed"] == 0 and told["seconds"] > 0
    assert told["command"] == wide_convolutions.COMMAND
    assert "jax" in told["versions"] and told["machine"]["processor"] == "cpu"
    assert [layer.filters for layer in preset.model().ff_layers] == [10, 20]


@pytest.mark.slow
def test_a_readout_is_trained_on_the_layers_alone(tmp_path):
    tensorflow = pytest.importorskip("tensorflow")
    model = wide_convolutions.recipe(units=(10, 10, 10, 10, 20, 20)).new_model((8, 8, 3), 10, 1)
    model.save_to_preset(tmp_path / "trained", "float32", command="a", epochs=2)
    y = np.arange(100) % 10
    x = np.random.default_rng(0).normal(size=(10, 1, 1, 3))[y] * np.ones((1, 8, 8, 1))
    samples = tensorflow.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(5)
    read = wide_convolutions.read_out(tmp_path / "trained", samples, epochs=15)
    for before, after in zip(model.ff_layers, read.ff_layers, strict=True):
        for name in ("kernel", "bias"):
            old, new = (getattr(layer.transform, name) for layer in (before, after))
            np.testing.assert_array_equal(old, new)
    assert read.evaluate(samples, verbose=0, return_dict=True)["accuracy"] > 0.5


@pytest.mark.parametrize("step", ["pack", "train", "read_out", "publish"])
def test_the_steps_that_the_module_tells_of_are_there(step, capsys, monkeypatch):
    assert f"{wide_convolutions.MODULE} {step} " in wide_convolutions.__doc__
    monkeypatch.setattr(sys, "argv", ["wide_convolutions", step, "--help"])
    with pytest.raises(SystemExit, match="0"):
        wide_convolutions.main()
    assert "usage" in capsys.readouterr().out
