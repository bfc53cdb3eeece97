"""Confusion matrices."""

import numpy as np
import pytest

from keras_ff import visualization
from tests.helpers.pictures import rendered


def test_cells_hold_counts_and_are_coloured_by_share():
    figure = rendered(visualization.confusion_matrix([[8, 2], [0, 5]], ["cat", "dog"]))
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[80, 20], [0, 100]])
    assert [text.get_text() for text in axes.texts] == ["8", "2", "", "5"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


def test_numbers_in_cells_differ_from_their_ground_in_lightness():
    figure = visualization.confusion_matrix(np.eye(10, dtype=int) * 30 + 1)
    image = figure.axes[0].images[0]
    for text, value in zip(figure.axes[0].texts, image.get_array().ravel(), strict=True):
        red, green, blue, _ = image.cmap(image.norm(value))
        ground = 0.3 * red + 0.59 * green + 0.11 * blue
        assert abs(ground - (0.0 if text.get_color() == "black" else 1.0)) > 0.45


def test_many_classes_have_no_numbers_in_their_cells():
    assert not visualization.confusion_matrix(np.eye(100, dtype=int)).axes[0].texts


@pytest.mark.parametrize("counts", [[1, 2], [[1, 2, 3], [4, 5, 6]]])
def test_matrices_are_square(counts):
    with pytest.raises(ValueError, match=r"row and a column for every class. Received: counts of"):
        visualization.confusion_matrix(counts)
