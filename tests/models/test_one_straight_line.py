"""A reader of one training step opens few files and goes through few calls."""

import pathlib
import sys

import numpy as np
import pytest

import keras_ff

FOLDER = pathlib.Path(keras_ff.__file__).parent


class Recorder:
    """Records the functions of the package that are called while it is active.

    Attributes:
        files: the files that they stand in, in the order in which these are reached.
        ways: for each call of a loss, the functions from the outermost one to it.
    """

    def __init__(self):
        self.files = []
        self.ways = []

    def __enter__(self):
        self._before = sys.getprofile()
        sys.setprofile(self._record)
        return self

    def __exit__(self, *error):
        sys.setprofile(self._before)

    def _record(self, frame, event, argument):
        name = _name(frame)
        if event != "call" or name is None:
            return
        file, function = name
        if file not in self.files:
            self.files.append(file)
        if file.startswith("losses/") and function == "__call__":
            self.ways.append(list(_callers(frame)))


def _name(frame):
    """File and function of a frame, `None` outside the package."""
    path = pathlib.PurePath(frame.f_code.co_filename)
    if not path.is_relative_to(FOLDER):
        return None
    return path.relative_to(FOLDER).as_posix(), frame.f_code.co_name


def _callers(frame):
    """The functions of the package that are being executed, the outermost first."""
    if frame is None:
        return
    yield from _callers(frame.f_back)
    if _name(frame) is not None:
        yield _name(frame)


@pytest.fixture(scope="module")
def step():
    """What is recorded of one plain step of the default model, all variables being made."""
    layers = [keras_ff.layers.FFDense(16) for _ in range(3)]
    model = keras_ff.FFModel(layers, num_classes=3)
    model.compile(run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(12, 8)).astype("float32")
    y = np.arange(12) % 3
    model.train_step((x, y))
    with Recorder() as recorder:
        model.train_step((x, y))
    return recorder


pytestmark = pytest.mark.not_under("jax", "its step takes the state of all variables")


def test_a_step_goes_through_few_files(step):
    assert step.files[0] == "backends/tensorflow.py"
    assert len(step.files) <= 18, "\n".join(step.files)


def test_the_loss_is_a_few_calls_below_keras_train_step(step):
    (way,) = step.ways  # of the one layer that learns
    assert way[0] == ("backends/tensorflow.py", "train_step")
    assert way[-1][1] == "__call__"
    assert len(way) <= 10, "\n".join(map(" ".join, way))
