"""Goodness: formulas, precision, gradients, units."""

import keras
import numpy as np
import pytest

from keras_ff import goodness
from tests.helpers import drawn
from tests.helpers.either_backend import value_and_gradients

# Independent of the code: float64, on rows.

# Contrastive ones; class groups have a file of their own.
GOODNESS = [name for name, part in goodness.KNOWN.items() if not part.per_class]
FORMULAS = {
    "sum_of_squares": lambda rows, scale, center: scale * ((rows - center) ** 2).sum(axis=1),
    "mean_of_squares": lambda rows, scale, center: scale * ((rows - center) ** 2).mean(axis=1),
    "mean_activity": lambda rows, scale, center: scale * (rows - center).mean(axis=1),
}
SHAPES = [(3, 7), (2, 4, 5), (4, 3, 3, 2), (1, 1)]
SETTINGS = [{}, {"scale": 64.0}, {"center": 0.5}, {"scale": 0.25, "center": -1.5}]
POLICIES = ["float32", "bfloat16", "mixed_bfloat16", "mixed_float16"]


def made(name, **settings):
    return goodness.KNOWN[name](**settings)


def by_hand(name, activities, scale=1.0, center=0.0):
    rows = np.asarray(activities, "float64").reshape(len(activities), -1)
    return FORMULAS[name](rows, scale, center)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_formula(name, shape, settings):
    activities = drawn(shape)
    values = np.array(made(name, **settings)(activities))
    assert values.shape == (shape[0],)
    assert values.dtype == "float32"
    np.testing.assert_allclose(values, by_hand(name, activities, **settings), rtol=2e-6)


@pytest.mark.parametrize("shape", [(12,), (4, 4, 3), (None, 3)], ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_symbolic_activities(name, shape):
    """In a functional model."""
    inputs = keras.Input(shape)
    model = keras.Model(inputs, made(name)(inputs))
    assert model.output_shape == (None,)
    activities = drawn((3, *(size or 5 for size in shape)))
    np.testing.assert_allclose(model(activities), by_hand(name, activities), rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_bfloat16_activities_are_summed_in_float32(name, settings):
    activities = keras.ops.cast(drawn((3, 300)), "bfloat16")
    values = made(name, **settings)(activities)
    assert keras.backend.standardize_dtype(values.dtype) == "float32"
    rounded = np.array(keras.ops.cast(activities, "float32"))
    np.testing.assert_allclose(values, by_hand(name, rounded, **settings), rtol=2e-6)


def test_sums_do_not_stop_where_bfloat16_would():
    # In bfloat16, 256 + 1 is 256.
    figure = goodness.SumOfSquares()(keras.ops.ones((1, 4096), dtype="bfloat16"))
    assert float(figure[0]) == 4096.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(
    ("name", "expected"), [("sum_of_squares", 4 * 320.0**2), ("mean_of_squares", 320.0**2)]
)
def test_squares_beyond_float16(name, expected, dtype):
    # 320² is beyond the largest float16, 65504; 320 itself is exact in all three.
    figure = made(name)(keras.ops.full((1, 4), 320.0, dtype=dtype))
    assert float(figure[0]) == expected


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FORMULAS)
def test_float32_under_every_policy(name, policy):
    activities = drawn((5, 40))
    keras.config.set_dtype_policy(policy)
    values = made(name, scale=3.0)(activities)
    assert keras.backend.standardize_dtype(values.dtype) == "float32"
    # A mean that nearly cancels, 0.0084 of values about 3, is 4e-8 away under JAX.
    atol = 1e-7 if keras.backend.backend() == "jax" else 0.0
    np.testing.assert_allclose(values, by_hand(name, activities, scale=3.0), rtol=2e-6, atol=atol)


@pytest.mark.parametrize("name", FORMULAS)
def test_a_sample_does_not_depend_on_the_others(name):
    activities = drawn((4, 6))
    others = activities.copy()
    others[1:] = 1e3
    part = made(name)
    assert np.array(part(activities))[0] == np.array(part(others))[0]
    assert np.array(part(activities))[1] != np.array(part(others))[1]


@pytest.mark.parametrize("name", FORMULAS)
def test_large_activities(name):
    activities = np.full((2, 5), 1e4, "float32")
    part = made(name)
    values, (gradient,) = value_and_gradients(part, activities)
    expected = by_hand(name, activities)
    assert expected[0] >= (1e4 if name == "mean_activity" else 1e8)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    slope = (1.0 if name == "mean_activity" else 2e4) * part.unit((None, 5)) / 5
    np.testing.assert_allclose(gradient, slope, rtol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_is_that_of_finite_differences(name, settings):
    activities = drawn((3, 2, 4))
    _, (gradient,) = value_and_gradients(made(name, **settings), activities)
    numeric = np.zeros(activities.shape)
    for place in np.ndindex(activities.shape):
        step = np.zeros(activities.shape)
        step[place] = 1e-5
        both = [by_hand(name, activities.astype("float64") + s, **settings) for s in (step, -step)]
        numeric[place] = (both[0] - both[1]).sum() / 2e-5
    np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", FORMULAS)
def test_unit_is_the_goodness_one_unit_from_the_center(name, shape, settings):
    part = made(name, **settings)
    away = np.full(shape, settings.get("center", 0.0) + 1.0, "float32")
    np.testing.assert_allclose(part(away), part.unit((None, *shape[1:])), rtol=1e-6)


def test_sum_is_mean_times_the_number_of_units():
    activities = drawn((3, 2, 5))
    sums, means = goodness.SumOfSquares()(activities), goodness.MeanOfSquares()(activities)
    np.testing.assert_allclose(sums, 10 * np.array(means), rtol=1e-6)


@pytest.mark.parametrize("name", GOODNESS)
def test_get(name):
    part = goodness.get(name)
    assert type(part) is goodness.KNOWN[name]
    assert goodness.get(part) is part
    assert goodness.get(None) is None


@pytest.mark.parametrize("settings", [{}, {"scale": 3.0}], ids=str)
@pytest.mark.parametrize("name", GOODNESS)
def test_round_trip(name, settings):
    part = made(name, **settings)
    serialised = keras.saving.serialize_keras_object(part)
    copies = [
        type(part).from_config(part.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        goodness.get(serialised),
    ]
    activities = drawn((3, 10))
    for copy in copies:
        assert type(copy) is type(part)
        assert copy == part
        assert hash(copy) == hash(part)
        assert copy.get_config() == part.get_config()
        np.testing.assert_array_equal(copy(activities), part(activities))
    assert part.get_config().get("scale") == settings.get("scale", 1.0)
    assert part != made(name, scale=7.0)


def test_repr_shows_the_arguments():
    text = repr(goodness.SumOfSquares(scale=2.0))
    assert text == "SumOfSquares(scale=2.0, center=0.0)"
