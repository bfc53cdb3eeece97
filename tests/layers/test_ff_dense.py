"""FFDense by hand."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff.layers import (
    FFDense,
)
from tests.helpers import drawn
from tests.helpers.dense import ACTIVATIONS, dense, dense_by_hand, sgd


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_by_hand(activation):
    layer = dense(activation=activation)
    x = 50.0 * drawn(6, 5)
    expected = dense_by_hand(x, *map(convert_to_numpy, layer.transform.weights), activation)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4, atol=1e-6)


def test_an_activation_may_be_any_callable():
    doubled, plain = dense(activation=lambda z: 2.0 * z), dense(activation=None)
    for one, other in zip(doubled.weights, plain.weights, strict=True):
        one.assign(other)
    x = drawn(3, 5)
    np.testing.assert_allclose(doubled(x), 2.0 * np.array(plain(x)), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 2), (4, 3), (12,)], ids=str)
def test_dense_flattens_its_input(shape):
    layer = FFDense(4, loss="symba", optimizer=sgd())
    images = drawn(6, *shape)
    assert tuple(layer(images).shape) == (6, 4)
    assert tuple(layer.kernel.shape) == (12, 4)
    np.testing.assert_array_equal(layer(images), layer(images.reshape(6, 12)))
    assert layer.compute_output_shape((None, *shape)) == (None, 4)
    assert tuple(layer(keras.Input(shape)).shape) == (None, 4)


def test_activities_are_not_normalised():
    layer = dense()
    x = drawn(4, 5)
    layer.kernel.assign(10.0 * layer.kernel)
    assert np.mean(np.square(layer(x))) > 10.0


def test_normalization_none_is_the_identity():
    layer = dense(activation=None, normalization=None, use_bias=False)
    x = drawn(3, 5)
    np.testing.assert_allclose(layer(x), x @ convert_to_numpy(layer.kernel), rtol=1e-5)
