"""Class groups: the goodness of each class's group of units, saved with its settings."""

import keras
import numpy as np
import pytest

from keras_ff import goodness, losses
from tests.helpers import drawn


@pytest.mark.parametrize("of", ["mean_activity", "mean_of_squares", "sum_of_squares"])
@pytest.mark.parametrize("shape", [(4, 12), (4, 5, 3, 6), (4, 7, 9)], ids=str)
def test_each_group_of_neighbours_is_measured_by_itself(shape, of):
    activities = drawn(shape)
    values = goodness.ClassGroups(of=of, scale=2.0)(activities, num_classes=3)
    width = shape[-1] // 3
    for k in range(3):
        group = activities[..., k * width : (k + 1) * width].reshape(4, -1).astype("float64")
        measured = {
            "mean_activity": group.mean(axis=1),
            "mean_of_squares": (group**2).mean(axis=1),
            "sum_of_squares": (group**2).sum(axis=1),
        }[of]
        np.testing.assert_allclose(values[:, k], 2.0 * measured, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "part",
    [
        goodness.ClassGroups(),
        goodness.ClassGroups(of=goodness.MeanOfSquares(scale=2.0), scale=3.0, num_classes=4),
        losses.ClassLoss(),
        losses.ClassLoss(keras.losses.SparseCategoricalCrossentropy(from_logits=True)),
    ],
    ids=repr,
)
def test_round_trip(part):
    serialised = keras.saving.serialize_keras_object(part)
    for copy in (
        type(part).from_config(part.get_config()),
        type(part).from_config(serialised["config"]),
    ):
        assert copy == part
    assert keras.saving.deserialize_keras_object(serialised) == part
