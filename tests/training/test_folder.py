"""What a run's folder goes through: other processes, a full disk, files that were damaged."""

import errno
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import training
from keras_ff.recipes import TrainingConfig
from keras_ff.utils import files
from tests.helpers import ROOT, mostly_slow
from tests.helpers.runs import assert_same_end

SMALL = {"units": (24, 16), "epochs": 4, "batch_size": 256, "learning_rate": 0.01}


def small():
    return TrainingConfig.for_dataset("digits", **SMALL)


def test_a_folder_in_which_another_process_trains_is_refused(tmp_path):
    with files.held(tmp_path / "run"):
        for resume in (False, True):
            with pytest.raises(ValueError, match="Another process is at work in"):
                training.train(small(), tmp_path / "run", resume=resume, verbose=0)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path, monkeypatch):
    """As one that is read-only."""

    def refuse(path, mode=0o777, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(TrainingConfig, "new_model", lambda *_: pytest.fail("began"))
    monkeypatch.setattr("os.mkdir", refuse)
    with pytest.raises(PermissionError, match="Permission denied"):
        training.train(small(), tmp_path / "run", verbose=0)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a small run that is complete, all layers at once."""
    folder = tmp_path_factory.mktemp("runs") / "undisturbed"
    training.train(small(), folder, verbose=0)
    return folder


@pytest.mark.slow
def test_two_processes_on_one_folder(undisturbed, tmp_path):
    """One trains, the other is refused, and what is left is the run of one."""
    words = [sys.executable, "-m", "keras_ff_cli", "train", "--units", "24,16", "--epochs", "4"]
    words += ["--batch-size", "256", "--learning-rate", "0.01", "--out", "run"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    options = {"cwd": tmp_path, "env": environment, "text": True}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    both = [subprocess.Popen(words, **options, **pipes) for _ in range(2)]
    errors = [process.communicate()[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 2]
    (refused,) = (text for text, process in zip(errors, both, strict=True) if process.returncode)
    assert "Another process is at work" in refused or "holds a run already" in refused
    assert_same_end(tmp_path / "run", undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("number", [1, 7, 12])
def test_a_disk_that_was_full_for_a_while(number, undisturbed, tmp_path, monkeypatch):
    """A file of the run could not be written: that is said, and the run is gone on with."""
    flush, flushed = os.fsync, []

    def full(descriptor):
        flushed.append(descriptor)
        if len(flushed) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, "fsync", full)
        training.train(small(), tmp_path / "run", verbose=0)
    assert not [path for path in (tmp_path / "run").glob("*") if "partial" in path.name]
    training.train(small(), tmp_path / "run", resume=True, verbose=0)
    assert_same_end(tmp_path / "run", undisturbed)


def damaged(content, random):
    """A file that was cut, or of which up to eight bytes were changed, at random."""
    if random.random() < 0.3:
        return content[: random.integers(len(content))]
    changed = bytearray(content)
    for place in random.integers(len(content), size=random.integers(1, 9)):
        changed[place] ^= random.integers(1, 256)
    return bytes(changed)


@mostly_slow("seeds", [range(2), range(2, 100)])
def test_damaged_checkpoints_are_refused_or_load_what_was_saved(seeds, tmp_path):
    keras.utils.set_random_seed(0)
    model = keras_ff.FFModel([keras_ff.layers.FFDense(4)], num_classes=3)
    model.compile()
    model.build((None, 5))
    record = {"epoch": 1, "config": {}, "seconds": 1.5, "history": {"loss": [0.25]}}
    training.save(model, record, tmp_path / "whole.keras")
    content = (tmp_path / "whole.keras").read_bytes()
    wanted = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    refused = 0
    for seed in seeds:
        (tmp_path / "damaged.keras").write_bytes(damaged(content, np.random.default_rng(seed)))
        try:
            loaded, run = training.load(tmp_path / "damaged.keras")
        except ValueError as error:
            assert "is not a model that keras_ff can read: " in str(error), error
            refused += 1
            continue
        assert run == record
        for weight, same in zip(loaded.weights, wanted, strict=True):
            np.testing.assert_array_equal(weight, same)
    assert refused >= 0.9 * len(seeds)
