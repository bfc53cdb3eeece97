"""Activations: formulas, gradients, names."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_ff import activations, losses
from keras_ff.layers import FFDense
from tests.helpers.either_backend import value_and_gradients

# Those without a useful gradient learn by a surrogate: beside both, the points where they jump.
EDGES = np.array([-2.0, -1.0, -0.5, -0.0, 0.0, 0.125, 0.375, 0.45, 1.0, 1.1, 7.3], "float32")
HARD = {
    "sign": (
        [-1, -1, -1, 1, 1, 1, 1, 1, 1, 1, 1],
        [0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0],
    ),
    "step": (
        [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
        [0, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0, 0],
    ),
    # Halves go to the even multiple: 0.125 = 0.5 · 0.25 to 0, 0.375 = 1.5 · 0.25 to 0.5.
    "quantized_relu": (
        [0, 0, 0, 0, 0, 0, 0.5, 0.5, 1, 1, 7.25],
        [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
    ),
}
POINTS = np.array([-30.0, -1.5, -1e-3, 0.0, 1e-3, 0.7, 30.0], "float32")


def gradient(function, points):
    return value_and_gradients(function, points)[1][0]


def test_relu_full_grad():
    np.testing.assert_array_equal(activations.relu_full_grad(POINTS), np.maximum(POINTS, 0))
    np.testing.assert_array_equal(gradient(activations.relu_full_grad, POINTS), np.ones(7))


@pytest.mark.parametrize("nu", [0.5, 1.0, 10.0, 100.0])
def test_t_distribution(nu):
    x = POINTS.astype("float64")
    density = math.exp(math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2)) / math.sqrt(nu * math.pi)
    density = density * (1 + x**2 / nu) ** (-(nu + 1) / 2)
    function = lambda points: activations.t_distribution(points, nu)  # noqa: E731
    np.testing.assert_allclose(function(POINTS), -np.log(density), rtol=1e-5)
    exact = (nu + 1) * x / (nu + x**2)
    np.testing.assert_allclose(gradient(function, POINTS), exact, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("nu", [0, -1.0, math.nan])
def test_degrees_of_freedom_must_be_positive(nu):
    with pytest.raises(ValueError, match="nu"):
        activations.t_distribution(POINTS, nu)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("name", HARD)
def test_hard_activations_and_their_surrogate_gradients(name, dtype):
    """To the last digit: the surrogate leaves no trace in the value, whatever the precision."""
    points = ops.cast(EDGES, dtype)
    function = activations.get(name)
    value = function(points)
    assert value.dtype == points.dtype
    values, slopes = HARD[name]
    np.testing.assert_array_equal(ops.cast(value, "float32"), values)
    # Upstream gradients that differ tell places apart.
    upstream = ops.cast(np.arange(1, 12), dtype)
    _, (found,) = value_and_gradients(lambda points: function(points) * upstream, points)
    expected = np.array(slopes) * np.arange(1, 12)
    np.testing.assert_array_equal(ops.cast(found, "float32"), expected)


@pytest.mark.parametrize("name", HARD)
def test_hard_activations_of_huge_and_undefined_values(name):
    points = np.array([-3e37, 3e37, np.nan], "float32")
    value = np.array(activations.get(name)(points))
    assert np.isfinite(value[:2]).all()
    assert np.isnan(value[2])
    assert np.isfinite(gradient(activations.get(name), points[:2])).all()


@pytest.mark.parametrize("step_size", [0.25, 1.0, 0.1])
def test_steps_of_the_quantized_relu(step_size):
    x = np.random.default_rng(0).normal(0, 3, 200).astype("float32")
    value = np.array(activations.quantized_relu(x, step_size))
    steps = np.round(np.maximum(x.astype("float64"), 0) / step_size)
    assert steps.max() > 5
    np.testing.assert_allclose(value, steps * step_size, rtol=1e-6)
    assert np.abs(value - np.maximum(x, 0)).max() <= step_size / 2 * (1 + 1e-5)


@pytest.mark.parametrize("step_size", [0, -0.25, math.nan, "a", None])
def test_step_sizes_must_be_positive(step_size):
    with pytest.raises(ValueError, match=r"step_size.*Received"):
        activations.quantized_relu(POINTS, step_size)


@pytest.mark.parametrize("name", HARD)
def test_hard_activations_in_a_layer_agree_between_precisions(name):
    """By name, through saving, in float32 and in mixed bfloat16, where sums are the same."""
    # Eighths and small whole numbers: every product and sum is exact in bfloat16.
    rng = np.random.default_rng(3)
    x = rng.integers(-2, 3, (6, 4)).astype("float32")
    kernel = rng.integers(-3, 4, (4, 5)).astype("float32") / 8
    answers = []
    for dtype in ("float32", "mixed_bfloat16"):
        layer = FFDense(
            5, activation=name, goodness="mean_activity", normalization=None, dtype=dtype
        )
        layer = FFDense.from_config(layer.get_config())
        layer.build((None, 4))
        layer.kernel.assign(kernel)
        activities = layer(x)
        assert keras.backend.standardize_dtype(activities.dtype) == layer.compute_dtype
        answers.append(np.array(keras.ops.cast(activities, "float32")))
    np.testing.assert_array_equal(*answers)
    expected = {
        "sign": lambda z: np.where(z >= 0, 1, -1),
        "step": lambda z: (z > 0).astype(float),
        "quantized_relu": lambda z: np.round(np.maximum(z, 0) * 4) / 4,
    }
    np.testing.assert_array_equal(answers[0], expected[name](x @ kernel))
    assert len(np.unique(answers[0])) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
def test_hard_activations_learn(name):
    """Through the layer's own step: what rounds to nothing still moves."""
    layer = FFDense(
        8,
        activation=name,
        goodness="mean_activity",
        loss=losses.SymBa(4.0),
        optimizer=keras.optimizers.Adam(0.02),
    )
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)).astype("float32")
    x[:20, 0] += 2
    losses_seen = [float(layer.train_step(x)[0]["loss"]) for _ in range(40)]
    assert losses_seen[-1] < 0.7 * losses_seen[0]


def test_squares_that_are_constant():
    constant = {
        name
        for name in (*activations.KNOWN, "relu", "tanh", "sigmoid", None)
        if activations.squares_are_constant(name)
    }
    assert constant == {"sign"}
    assert activations.squares_are_constant(activations.sign)
    assert not activations.squares_are_constant(lambda x: x)
    # What the name claims.
    np.testing.assert_array_equal(np.square(activations.sign(EDGES)), np.ones(11))
    with pytest.raises(ValueError, match="Did you mean 'sign'"):
        activations.squares_are_constant("sing")


@pytest.mark.parametrize(
    ("activation", "alpha"),
    [
        *((name, 16.0) for name in ("relu", "leaky_relu", "elu", "gelu", "swish", "linear", None)),
        *((name, 16.0) for name in ("relu_full_grad", "quantized_relu", "t_distribution")),
        *((name, 64.0) for name in ("tanh", "sigmoid", "hard_tanh", "softsign", "sign", "step")),
        (keras.ops.tanh, 64.0),
        (keras.activations.sigmoid, 64.0),
        (activations.sign, 64.0),
        (lambda x: x, 16.0),
        (keras.layers.ReLU(), 16.0),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),  # without an address
)
def test_typical_alpha(activation, alpha):
    assert activations.typical_alpha(activation) == alpha


def test_typical_alpha_of_an_unknown_name():
    with pytest.raises(ValueError, match="Did you mean 'tanh'"):
        activations.typical_alpha("tahn")


@pytest.mark.parametrize("name", activations.KNOWN)
def test_own_activations_are_saved_by_name(name):
    # A goodness without squares: those of sign are constant.
    layer = FFDense(4, activation=name, goodness="mean_activity")
    again = FFDense.from_config(layer.get_config())
    assert again.activation is activations.KNOWN[name]
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert loaded.activation is activations.KNOWN[name]


@pytest.mark.parametrize("goodness", ["mean_of_squares", "mean_activity"])
def test_relu_full_grad_learns_as_relu_under_squares_alone(goodness):
    """dG/dz = 2 · relu(z) · f'(z) is zero for silent units, whatever f' is."""
    x = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
    kernels = []
    for activation in ("relu", "relu_full_grad"):
        layer = FFDense(
            5,
            activation=activation,
            goodness=goodness,
            loss=losses.SymBa(4.0),
            optimizer=keras.optimizers.SGD(0.5),
            kernel_initializer=keras.initializers.GlorotUniform(seed=1),
        )
        layer.train_step(x)
        kernels.append(np.array(layer.kernel))
    difference = np.abs(kernels[0] - kernels[1]).max()
    assert difference == 0 if goodness == "mean_of_squares" else difference > 1e-3


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "gelu", "tanh", "sigmoid"])
def test_every_keras_activation_by_name(name):
    assert activations.get(name) is keras.activations.get(name)
