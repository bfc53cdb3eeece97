"""What folders of training runs hold."""

import json
import pathlib

import keras
import numpy as np

from keras_ff import training


def read(folder, name):
    return json.loads((pathlib.Path(folder) / name).read_text())


def state(folder):
    """All numbers of a run's model: weights, optimizers' slots, generators."""
    model, _ = training.load(folder)
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(variable) for variable in variables]


def assert_same_end(folder, other):
    """Two runs ended with the same metrics and the same model, to the last bit."""
    assert read(folder, "history.json") == read(other, "history.json")
    changing = ("seconds", "samples_per_second")
    metrics, others = read(folder, "metrics.json"), read(other, "metrics.json")
    for name in metrics:
        assert name in changing or metrics[name] == others[name], name
    ours, theirs = state(folder), state(other)
    assert len(ours) == len(theirs) > 0
    for one, another in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, another)
