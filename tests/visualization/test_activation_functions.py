"""Activations and the gradients they learn by."""

import numpy as np
import pytest

from keras_ff import visualization
from tests.helpers.pictures import rendered


@pytest.mark.slow
def test_activations_and_the_gradients_they_learn_by():
    figure = rendered(visualization.activation_functions(["tanh", "sign", "relu_full_grad"]))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["tanh", "sign", "relu_full_grad"]
    by_name = {}
    for axes in figure.axes:
        value, gradient = (line for line in axes.get_lines() if len(line.get_xdata()) > 2)
        assert value.get_linestyle() != gradient.get_linestyle()
        points = value.get_xdata()
        by_name[axes.get_title()] = points, value.get_ydata(), gradient.get_ydata()
    points, values, gradients = by_name["tanh"]
    np.testing.assert_allclose(values, np.tanh(points), atol=1e-5)
    np.testing.assert_allclose(gradients, 1 - np.tanh(points) ** 2, atol=1e-5)
    points, values, gradients = by_name["sign"]
    np.testing.assert_array_equal(values, np.where(points >= 0, 1, -1))
    np.testing.assert_array_equal(gradients, np.abs(points) <= 1)
    points, values, gradients = by_name["relu_full_grad"]
    np.testing.assert_array_equal(values, np.maximum(points, 0))
    np.testing.assert_array_equal(gradients, 1)


def test_no_activations_are_no_picture():
    with pytest.raises(ValueError, match="no names"):
        visualization.activation_functions([])
