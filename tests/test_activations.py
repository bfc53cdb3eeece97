"""Activations: formulas, gradients, names."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_ff import activations, losses
from keras_ff.layers import FFDense

POINTS = np.array([-30.0, -1.5, -1e-3, 0.0, 1e-3, 0.7, 30.0], "float32")


def gradient(function, points):
    x = tf.constant(points)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(function(x))
    return tape.gradient(value, x).numpy()


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


@pytest.mark.parametrize("name", activations.KNOWN)
def test_own_activations_are_saved_by_name(name):
    layer = FFDense(4, activation=name)
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
