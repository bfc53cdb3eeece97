"""LengthNormalization: by hand, its axes, its gradients, its precision."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff.layers import (
    LengthNormalization,
)
from tests.helpers import copies, drawn
from tests.helpers.dense import dense, dense_by_hand, normalised
from tests.helpers.either_backend import value_and_gradients


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("shape", [(4, 7), (3, 5, 5, 2), (2, 6, 3)], ids=str)
def test_length_normalization_by_hand(shape, center):
    x = 10 * drawn(*shape) + 3.0
    y = np.array(LengthNormalization(center=center)(x))
    np.testing.assert_allclose(y, normalised(x, center), rtol=1e-5, atol=1e-6)
    rows = y.reshape(len(y), -1)
    np.testing.assert_allclose((rows**2).mean(axis=1), 1.0, rtol=1e-5)
    assert np.all(np.abs(rows.mean(axis=1)) < 1e-5) == center


@pytest.mark.parametrize("center", [False, True])
def test_length_normalization_leaves_the_direction_alone(center):
    x = drawn(3, 8)
    lengths = np.array([[1e-2], [1.0], [1e4]], "float32")
    layer = LengthNormalization(center=center)
    np.testing.assert_allclose(layer(x * lengths), layer(x), rtol=1e-3)


def test_length_normalization_treats_samples_one_by_one():
    x = drawn(4, 3, 2)
    other = x.copy()
    other[1:] *= 100.0
    other[1:] += 5.0
    layer = LengthNormalization()
    np.testing.assert_array_equal(layer(x)[0], layer(other)[0])
    assert np.abs(np.array(layer(x)[1]) - np.array(layer(other)[1])).max() > 1e-2


@pytest.mark.parametrize("center", [False, True])
def test_silent_samples_stay_at_zero_with_a_finite_gradient(center):
    layer = LengthNormalization(center=center)
    weighted, (gradient,) = value_and_gradients(
        lambda x: keras.ops.multiply(layer(x), drawn(2, 5)), np.zeros((2, 5), "float32")
    )
    np.testing.assert_array_equal(weighted, 0.0)
    assert np.all(np.isfinite(gradient))
    assert np.abs(gradient).max() > 0


def test_epsilon():
    y = LengthNormalization(epsilon=0.75)(np.full((1, 4), 0.5))
    np.testing.assert_allclose(y, 0.5, rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_length_normalization_under_a_policy(policy):
    x = 300.0 * drawn(3, 500)  # squares far beyond float16
    y = LengthNormalization(dtype=policy)(x)
    compute = "float16" if policy == "mixed_float16" else "bfloat16"
    assert keras.backend.standardize_dtype(y.dtype) == compute
    y = np.array(keras.ops.cast(y, "float32"))
    np.testing.assert_allclose(y, normalised(x), rtol=2e-2, atol=1e-3)
    np.testing.assert_allclose((y.astype("float64") ** 2).mean(axis=1), 1.0, rtol=4e-3)


def test_length_normalization_is_float32_under_mixed_float16():
    """A length that float16 cannot hold is gone once the sample is normalised."""
    x = 1e5 * np.array([[1.0, -1.0, 1.0, 1.0]], "float32")
    y = LengthNormalization(dtype="mixed_float16")(x)
    np.testing.assert_allclose(keras.ops.cast(y, "float32"), [[1, -1, 1, 1]], rtol=1e-2)


@pytest.mark.parametrize("length", [1e5, 1e-3])
def test_inputs_of_any_length_under_mixed_float16(length):
    layer = dense(dtype="mixed_float16")
    x = drawn(6, 5)
    scaled = np.array(keras.ops.cast(layer(length * x), "float32"))
    expected = dense_by_hand(x, *map(convert_to_numpy, layer.transform.weights))
    np.testing.assert_allclose(scaled, expected, rtol=3e-2, atol=5e-3)


def test_length_normalization_round_trip():
    layer = LengthNormalization(center=True, epsilon=0.25, name="normal", dtype="mixed_bfloat16")
    copy = LengthNormalization.from_config(layer.get_config())
    other = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    x = drawn(3, 4)
    for one in (copy, other):
        assert (one.center, one.epsilon, one.name) == (True, 0.25, "normal")
        np.testing.assert_array_equal(
            keras.ops.cast(one(x), "float32"), keras.ops.cast(layer(x), "float32")
        )


AXES = [
    ((4, 7), None, (1,)),
    ((4, 7), -1, (1,)),
    ((3, 5, 4, 2), -1, (3,)),
    ((3, 5, 4, 2), 3, (3,)),
    ((3, 5, 4, 2), (1, 2), (1, 2)),
    ((3, 5, 4, 2), [-2, 1, 3], (1, 2, 3)),
    ((2, 6, 3), -1, (2,)),
    ((2, 6, 3), 1, (1,)),
]


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(("shape", "axis", "axes"), AXES, ids=str)
def test_length_normalization_along_axes(shape, axis, axes, center):
    x = (2.0 + drawn(*shape)) * np.logspace(-2, 2, shape[1]).reshape(
        (1, shape[1]) + (1,) * (len(shape) - 2)
    )
    wide = x.astype("float64")
    if center:
        wide = wide - wide.mean(axis=axes, keepdims=True)
    expected = wide / np.sqrt((wide**2).mean(axis=axes, keepdims=True) + 1e-8)
    layer = LengthNormalization(center=center, axis=axis)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-3, atol=2e-5)
    assert layer.compute_output_shape(shape) == shape


def test_every_token_by_itself():
    """What one token holds neither shows in another nor in its length."""
    x = drawn(2, 6, 3)
    other = x.copy()
    other[:, 1:] *= 50.0
    layer = LengthNormalization(axis=-1)
    np.testing.assert_array_equal(np.array(layer(x))[:, 0], np.array(layer(other))[:, 0])
    np.testing.assert_allclose(layer(x), layer(other), rtol=1e-4)
    mean_squares = (np.array(layer(x), "float64") ** 2).mean(axis=-1)
    np.testing.assert_allclose(mean_squares, 1.0, rtol=1e-5)


def test_no_gradient_along_a_tokens_length():
    x, layer = drawn(2, 4, 3), LengthNormalization(axis=-1)
    _, (gradient,) = value_and_gradients(
        lambda x: keras.ops.multiply(layer(x), drawn(2, 4, 3, seed=2)), x
    )
    assert np.abs(gradient).max() > 0.1
    np.testing.assert_allclose(np.sum(gradient * x, axis=-1), 0.0, atol=1e-5)


@pytest.mark.parametrize(
    "axis", [0, (0, 1), (), [], True, 1.0, "last", (1, None), (1, "2")], ids=repr
)
def test_axes_that_no_inputs_have(axis):
    with pytest.raises(ValueError, match=r"batch axis\. Received: axis="):
        LengthNormalization(axis=axis)


@pytest.mark.parametrize("axis", [-3, 3, -4, (1, -2), (2, 2), (1, 5)], ids=repr)
def test_axes_that_these_inputs_do_not_have(axis):
    layer = LengthNormalization(axis=axis)
    for refused in (layer, lambda x: layer.compute_output_shape(x.shape)):
        with pytest.raises(ValueError, match=r"axes out of 1 to 2.*Received: axis=.*\(2, 6, 3\)"):
            refused(drawn(2, 6, 3))


@pytest.mark.parametrize("axis", [None, -1, (1, 2), [1, 2]], ids=repr)
def test_round_trip_along_axes(axis):
    layer = LengthNormalization(center=True, axis=axis, epsilon=0.5)
    for copy in copies(layer):
        assert (copy.center, copy.axis, copy.epsilon) == (True, layer.axis, 0.5)
        x = drawn(2, 3, 4)
        np.testing.assert_array_equal(copy(x), layer(x))
