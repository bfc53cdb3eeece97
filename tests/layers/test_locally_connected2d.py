"""LocallyConnected2D: every position with weights of its own."""

import json

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff.layers import LocallyConnected2D
from tests.helpers import drawn
from tests.helpers.either_backend import value_and_gradients
from tests.helpers.locally_connected import by_hand

# Image, kernel, strides, padding.
CASES = [
    ((5, 5, 1), 3, 1, "valid"),
    ((5, 6, 2), (3, 2), 1, "valid"),
    ((7, 6, 2), (3, 2), (2, 3), "valid"),
    ((4, 5, 3), 1, 1, "valid"),
    ((4, 5, 2), (4, 5), 1, "valid"),
    ((5, 6, 2), 3, 1, "same"),
    ((5, 6, 2), (2, 4), (1, 2), "same"),
    ((6, 7, 1), 3, (2, 3), "same"),
    ((3, 3, 1), 5, 1, "same"),
    ((4, 4, 1), 1, 3, "same"),
]


def built(image, kernel, strides, padding, **settings):
    layer = LocallyConnected2D(
        3, kernel, strides, padding, **{"bias_initializer": "normal", **settings}
    )
    layer.build((None, *image))
    return layer


@pytest.mark.parametrize("case", CASES, ids=str)
def test_by_hand(case):
    layer, x = built(*case), drawn(2, *case[0])
    y = layer(x)
    assert layer.compute_output_shape((2, *case[0])) == tuple(y.shape)
    np.testing.assert_allclose(y, by_hand(x, layer), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equal_weights_everywhere_are_a_convolution(case):
    image, kernel, strides, padding = case
    layer, x = built(*case), drawn(2, *image)
    rows, columns, inputs, filters = layer.kernel.shape
    shared = drawn(inputs, filters)
    bias = drawn(filters, seed=2)
    layer.kernel.assign(np.broadcast_to(shared, layer.kernel.shape))
    layer.bias.assign(np.tile(bias, rows * columns))
    convolution = keras.layers.Conv2D(3, kernel, strides, padding)
    convolution.build((None, *image))
    convolution.kernel.assign(shared.reshape(*convolution.kernel.shape))
    convolution.bias.assign(bias)
    np.testing.assert_allclose(layer(x), convolution(x), rtol=1e-4, atol=1e-5)


def test_gradients_of_a_position_come_from_its_own_patch():
    layer = built((6, 6, 2), 3, 1, "valid")
    x = drawn(2, 6, 6, 2)
    _, (inputs, kernel, bias) = value_and_gradients(
        lambda x: keras.ops.multiply(layer(x)[:, 1, 2], drawn(2, 3, seed=3)),
        x,
        layer.kernel,
        layer.bias,
    )
    patch = np.zeros((6, 6), bool)
    patch[1:4, 2:5] = True
    np.testing.assert_array_equal(np.any(inputs != 0, axis=(0, 3)), patch)
    expected = np.zeros(layer.kernel.shape)
    wide = x[:, 1:4, 2:5].reshape(2, -1).astype("float64")
    expected[1, 2] = wide.T @ drawn(2, 3, seed=3)
    np.testing.assert_allclose(kernel, expected, rtol=1e-4, atol=1e-6)
    expected = np.zeros((4, 4, 3))
    expected[1, 2] = drawn(2, 3, seed=3).sum(axis=0)
    np.testing.assert_allclose(np.reshape(bias, (4, 4, 3)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [
        ("glorot_uniform", 2 / (3 * 3 * 4 + 16)),
        ("glorot_normal", 2 / (3 * 3 * 4 + 16)),
        ("he_normal", 2 / (3 * 3 * 4)),
        (keras.initializers.LecunUniform(seed=3), 1 / (3 * 3 * 4)),
        (keras.initializers.VarianceScaling(0.5, "fan_out", seed=3), 0.5 / 16),
        (keras.initializers.RandomNormal(stddev=0.2), 0.04),
    ],
    ids=[
        "glorot_uniform",
        "glorot_normal",
        "he_normal",
        "lecun_uniform",
        "variance_scaling",
        "random_normal",
    ],
)
def test_the_first_weights_have_the_fan_of_one_position(initializer, variance):
    layer = LocallyConnected2D(16, 3, kernel_initializer=initializer)
    layer.build((None, 12, 12, 4))
    kernel = convert_to_numpy(layer.kernel)
    assert kernel.var() == pytest.approx(variance, rel=0.05)
    assert np.abs(kernel[0, 0] - kernel[5, 7]).max() > 0.5 * np.sqrt(variance)


def test_constraints_and_regularisers_work_as_everywhere():
    layer = built(
        (4, 4, 1),
        2,
        1,
        "valid",
        kernel_regularizer=keras.regularizers.L2(0.5),
        bias_regularizer=keras.regularizers.L1(0.25),
        kernel_constraint="non_neg",
    )
    kernel, bias = convert_to_numpy(layer.kernel), convert_to_numpy(layer.bias)
    assert [float(loss) for loss in layer.losses] == pytest.approx(
        [0.5 * np.sum(kernel**2), 0.25 * np.abs(bias).sum()], rel=1e-5
    )
    assert layer.kernel.constraint is layer.kernel_constraint
    assert isinstance(layer.kernel_constraint, keras.constraints.NonNeg)


def test_no_bias():
    layer = LocallyConnected2D(2, 3, use_bias=False)
    assert tuple(layer(drawn(2, 5, 5, 1)).shape) == (2, 3, 3, 2)
    assert [weight.name for weight in layer.weights] == ["kernel"]


def test_bfloat16_agrees_with_float32():
    exact, x = built((6, 6, 2), 3, 1, "same"), drawn(3, 6, 6, 2)
    mixed = built((6, 6, 2), 3, 1, "same", dtype="mixed_bfloat16")
    mixed.set_weights(exact.get_weights())
    assert keras.backend.standardize_dtype(mixed.kernel.dtype) == "float32"
    y = mixed(x)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(y, "float32"), exact(x), rtol=0.03, atol=0.03)


@pytest.mark.parametrize("name", ["filters", "kernel_size", "strides"])
@pytest.mark.parametrize("bad", [0, -1, 2.0, "three", None, True])
def test_sizes_that_are_none(name, bad):
    settings = {"filters": 2, "kernel_size": 3, name: bad}
    with pytest.raises(ValueError, match=f"Received: {name}={bad!r}"):
        LocallyConnected2D(**settings)


@pytest.mark.parametrize("bad", [(), (3,), (3, 3, 3), (3, 0)])
def test_pairs_that_are_none(bad):
    with pytest.raises(ValueError, match=r"Received: kernel_size="):
        LocallyConnected2D(2, bad)


def test_padding_that_does_not_exist():
    with pytest.raises(ValueError, match=r"'valid' or 'same'\. Received: padding='full'"):
        LocallyConnected2D(2, 3, padding="full")


@pytest.mark.parametrize("shape", [(None, 2, 5, 1), (None, 5, 2, 1)])
def test_a_kernel_larger_than_the_image(shape):
    with pytest.raises(ValueError, match=r"Nothing is left.*'same'.*Received: .*\(None, "):
        LocallyConnected2D(2, 3).build(shape)
    LocallyConnected2D(2, 3, padding="same").build(shape)


@pytest.mark.parametrize("shape", [(None, 8), (None, 8, 8), (None, None, 8, 1)])
def test_inputs_that_are_no_images(shape):
    with pytest.raises(ValueError, match=r"images of known size.*Received: inputs of shape"):
        LocallyConnected2D(2, 3).build(shape)


def test_round_trip(tmp_path):
    settings = {
        "kernel_initializer": "he_normal",
        "bias_initializer": "ones",
        "kernel_regularizer": "l2",
        "bias_regularizer": "l1",
        "kernel_constraint": "non_neg",
        "bias_constraint": "max_norm",
    }
    layer = LocallyConnected2D(3, (2, 3), (1, 2), "same", **settings)
    x = drawn(2, 6, 6, 2)
    layer(x)
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    for copy in (
        LocallyConnected2D.from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(serialised),
    ):
        assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
        copy(x)
        copy.set_weights(layer.get_weights())
        np.testing.assert_array_equal(copy(x), layer(x))
    model = keras.Sequential([keras.Input((6, 6, 2)), layer])
    model.save(tmp_path / "fields.keras")
    loaded = keras.saving.load_model(tmp_path / "fields.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
