"""Filters as images."""

import keras
import numpy as np
import pytest

from keras_ff import visualization
from keras_ff.layers import FFConv2D, FFDense
from keras_ff.visualization.filters import filter_images
from tests.helpers.pictures import built, rendered


@pytest.mark.parametrize("embedding", ["append", "overlay", "label_map"])
def test_filters_are_the_weights_of_the_pixels(embedding):
    model = built([FFDense(5)], (4, 6, 1), label_embedding=embedding)
    kernel = keras.ops.convert_to_numpy(model.ff_layers[0].transform.kernel)
    if embedding == "label_map":
        kernel = kernel.reshape(4, 6, 2, 5)[:, :, 0]
    expected = kernel.reshape(-1, 5)[:24].reshape(4, 6, 5)
    found = filter_images(model)
    np.testing.assert_array_equal(found[..., 0], expected.transpose(2, 0, 1))


def test_filters_are_tiled_with_zero_in_the_middle():
    model = built([FFDense(3)], (2, 2, 1))
    kernel = np.zeros((7, 3), "float32")
    kernel[:4] = np.array([[4, 0, -2, 1], [1, 1, 1, 1], [0, 0, 0, 0]]).T
    model.ff_layers[0].transform.kernel.assign(kernel)
    figure = rendered(visualization.filters(model))
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    white = [1, 1]
    np.testing.assert_allclose(sheet[:, 0:2], [[1, 0.5], [0.25, 0.625]])
    np.testing.assert_allclose(sheet[:, 2], white)
    np.testing.assert_allclose(sheet[:, 3:5], 1)
    np.testing.assert_allclose(sheet[:, 6:8], 0.5)
    assert figure.axes[0].get_title() == "Filters of layer 1: 3 of 3 units"


def test_filters_of_convolutions():
    model = built([FFConv2D(5)], (6, 6, 3), label_embedding="overlay")
    kernel = keras.ops.convert_to_numpy(model.ff_layers[0].transform.kernel)
    np.testing.assert_array_equal(filter_images(model), kernel.transpose(3, 0, 1, 2))
    model = built([FFConv2D(5)], (6, 6, 1), label_embedding="label_map")
    kernel = keras.ops.convert_to_numpy(model.ff_layers[0].transform.kernel)
    expected = kernel.mean(axis=2, keepdims=True).transpose(3, 0, 1, 2)
    np.testing.assert_allclose(filter_images(model), expected, rtol=1e-6)


def test_weights_that_are_no_images_are_refused():
    with pytest.raises(ValueError, match=r"Received: Dense on samples of shape \(6,\)"):
        visualization.filters(built([FFDense(4)], (6,)))
    with pytest.raises(ValueError, match="number=0"):
        visualization.filters(built([FFDense(4)], (2, 2, 1)), number=0)
