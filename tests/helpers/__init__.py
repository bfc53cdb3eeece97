"""What tests share."""

import json
import pathlib

import keras
import numpy as np
import pytest

from keras_ff.layers import Batch

ROOT = pathlib.Path(__file__).parents[2]  # of the repository


def drawn(*shape, seed=1):
    """Standard normal values, float32: `drawn(8, 6)` or `drawn((8, 6))`."""
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        (shape,) = shape
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def copies(layer):
    """The layer through its configuration and through JSON, as in a saved model."""
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    return (
        type(layer).from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(serialised),
    )


def activities_of(model, x):
    """Activities of a model's layers for samples with their labels in them, first to last."""
    return model.stack.activities(Batch(x, streams=1))


def mostly_slow(names, cases, quick=(0,), **arguments):
    """`pytest.mark.parametrize` that marks all cases slow but those at the positions `quick`."""
    one = isinstance(names, str) and "," not in names
    marked = []
    for position, case in enumerate(cases):
        if not hasattr(case, "marks"):
            case = pytest.param(case) if one else pytest.param(*case)
        marks = () if position in quick else (pytest.mark.slow,)
        marked.append(case._replace(marks=(*case.marks, *marks)))
    return pytest.mark.parametrize(names, marked, **arguments)
