"""Runs of the command line, killed and resumed, end as undisturbed ones to the last bit."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

from keras_ff import training
from keras_ff.recipes import TrainingConfig
from tests.helpers import ROOT
from tests.helpers.runs import assert_same_end, read


class Run:
    """`keras-ff train` in a process of its own."""

    def __init__(self, folder, *options):
        self.folder = pathlib.Path(folder)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "keras_ff.cli", "train", "--out", folder, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            cwd=ROOT,
        )

    def wait_for(self, condition, timeout=300):
        end = time.monotonic() + timeout
        while not condition():
            assert self.process.poll() is None, self.process.stderr.read()
            assert time.monotonic() < end, "the run takes too long"
            time.sleep(0.001)

    def kill(self):
        self.process.kill()
        self.process.communicate()
        assert self.process.returncode == -9

    def kill_while_writing(self, after=0):
        """Kill the process as soon as it begins to write the model after epoch `after + 1`."""
        partial = self.folder / "model.partial.keras"
        partial.unlink(missing_ok=True)
        self.wait_for(lambda: self.epochs_written() >= after)
        self.wait_for(partial.exists)
        self.kill()
        assert partial.exists(), "the kill came after the file was complete"

    def kill_within_epoch(self, epoch):
        """Kill the process in the midst of the epoch after `epoch` complete ones."""
        self.wait_for(lambda: self.epochs_written() >= epoch)
        time.sleep(0.03)
        self.kill()
        assert self.epochs_written() == epoch
        assert not (self.folder / "model.partial.keras").exists()

    def epochs_written(self):
        history = self.folder / "history.json"
        return len(read(self.folder, "history.json")["loss"]) if history.exists() else 0

    def finish(self):
        _, errors = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, errors


KILLED = {"units": (400, 300), "epochs": 3, "batch_size": 64, "layer_schedule": "greedy"}

OPTIONS = ("--units", "400,300", "--epochs", "3", "--batch-size", "64")


@pytest.mark.slow
def test_killed_and_resumed_runs_end_with_the_metrics_of_an_undisturbed_one(tmp_path):
    undisturbed, folder = tmp_path / "undisturbed", tmp_path / "run"
    training.train(TrainingConfig.for_dataset("digits", **KILLED), undisturbed, verbose=0)
    options = (*OPTIONS, "--layer-schedule", "greedy")
    # Before there is anything to resume; then while the first model is replaced by the next; then
    # within an epoch of the second layer.
    Run(folder, *options).kill_while_writing()
    assert not (folder / "model.keras").exists()
    Run(folder, *options, "--resume").kill_while_writing(after=1)
    assert training.load(folder)[1]["epoch"] == 1
    Run(folder, "--resume").kill_within_epoch(2)
    # What a resumed run was begun with need not be said again.
    Run(folder, "--resume").finish()
    assert_same_end(folder, undisturbed)
