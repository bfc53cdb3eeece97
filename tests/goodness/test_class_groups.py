"""Class groups: the goodness of each class's group of units, saved with its settings."""

import keras
import numpy as np
import pytest

from keras_ff import goodness, losses
from tests.helpers import drawn
from tests.helpers.either_backend import value_and_gradients


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
        goodness.ClassGroups(free=6),
        goodness.ClassGroups(free=0.25),
        goodness.ClassGroups(free="all"),
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


@pytest.mark.parametrize(
    ("free", "width", "count"),
    [
        (0, 12, 0),
        (5, 17, 5),
        (0.5, 12, 6),
        (0.3, 12, 6),
        (0.95, 12, 9),
        (0.2, 15, 3),
        (0.8, 30, 24),
    ],
)
@pytest.mark.parametrize("positions", [(), (4, 2)], ids=["units", "channels"])
def test_the_last_units_are_free(free, width, count, positions):
    part = goodness.ClassGroups(free=free, scale=3.0, num_classes=3)
    assert part.free_units(width, 3) == count
    activities = drawn(5, *positions, width)
    expected = goodness.ClassGroups(scale=3.0, num_classes=3)(activities[..., : width - count])
    found, (gradient,) = value_and_gradients(lambda x: part(x)[:, 1], activities)
    np.testing.assert_allclose(part(activities), expected, rtol=1e-6)
    np.testing.assert_allclose(found, expected[:, 1], rtol=1e-6)
    size = (width - count) // 3
    moves = np.zeros(width)
    moves[size : 2 * size] = 3.0 / (size * max(np.prod(positions), 1))
    np.testing.assert_allclose(gradient, np.broadcast_to(moves, gradient.shape), rtol=1e-5)


def test_where_all_units_are_free_there_is_no_goodness():
    part = goodness.ClassGroups(free="all", num_classes=3)
    assert not part.scores and goodness.ClassGroups(free=2).scores
    assert part.free_units(7, 3) == 7
    np.testing.assert_array_equal(part(drawn(5, 4, 7)), np.zeros((5, 3)))


@pytest.mark.parametrize("free", [-1, 1.0, 0.0, 1.5, True, "some", None], ids=repr)
def test_what_cannot_be_free_is_refused(free):
    with pytest.raises(ValueError, match=r"or 'all'\. Received: free="):
        goodness.ClassGroups(free=free)


@pytest.mark.parametrize(
    ("free", "width", "match"),
    [
        (2, 16, "16, less 2 free ones,.*14 or 17 can"),
        (6, 6, "9 can"),
        (0, 7, "6 or 9 can"),
    ],
)
def test_the_rest_must_be_divided_among_the_classes(free, width, match):
    with pytest.raises(ValueError, match=match):
        goodness.ClassGroups(free=free)(drawn(2, width), num_classes=3)
