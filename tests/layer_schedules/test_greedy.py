"""Greedy: which layer learns in which epoch."""

import numpy as np
import pytest

from keras_ff.layer_schedules import Greedy
from tests.helpers.schedules import course


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 7, 12, 60])
def test_greedy_divides_epochs_evenly(epochs, layers):
    learning = course(Greedy(), epochs, layers)
    assert len(learning) == epochs
    if epochs >= layers:
        assert all(len(indices) == 1 for indices in learning)
        counts = np.bincount(np.concatenate(learning), minlength=layers)
        assert np.concatenate(learning).tolist() == sorted(np.concatenate(learning))
        assert counts.min() >= 1
        assert counts.max() - counts.min() <= 1
    else:
        # Neighbours share an epoch, and each layer has one.
        assert np.concatenate(learning).tolist() == list(range(layers))
        shared = [len(indices) for indices in learning]
        assert max(shared) - min(shared) <= 1


@pytest.mark.parametrize(
    ("epochs_per_layer", "expected"),
    [
        (1, [0, 1, 2, 2, 2, 2, 2, 2]),
        (2, [0, 0, 1, 1, 2, 2, 2, 2]),
        (5, [0, 0, 0, 0, 0, 1, 1, 1]),
        ([1, 3, 2], [0, 1, 1, 1, 2, 2, 2, 2]),
        ([4, 1, 1], [0, 0, 0, 0, 1, 2, 2, 2]),
        ((2, 2, 4), [0, 0, 1, 1, 2, 2, 2, 2]),
        ([8, 1, 1], [0] * 8),
    ],
    ids=str,
)
def test_greedy_as_told(epochs_per_layer, expected):
    learning = course(Greedy(epochs_per_layer), 8, 3)
    assert learning == [(index,) for index in expected]


@pytest.mark.parametrize("epochs_per_layer", [2, [1, 3, 2]], ids=str)
def test_greedy_as_told_does_not_depend_on_the_epochs_of_fit(epochs_per_layer):
    schedule = Greedy(epochs_per_layer)
    assert course(schedule, 3, 3) == course(schedule, 20, 3)[:3]
