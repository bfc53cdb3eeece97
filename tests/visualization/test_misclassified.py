"""Mistakes, the surest first."""

import numpy as np
import pytest

from keras_ff import visualization
from tests.helpers.pictures import rendered


def test_the_surest_mistakes_come_first():
    scores = np.array([[0, 0.5], [0, 0.9], [1, 0], [0.2, 0.3]])
    x = np.arange(4)[:, None, None] * np.ones((4, 3, 3))
    figure = rendered(visualization.misclassified(x, [0, 0, 0, 0], scores, 2, ["cat", "dog"]))
    shown = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == ["cat → dog"] * 2
    assert [axes.images[0].get_array()[0, 0] for axes in shown] == [1 / 3, 0]
    assert figure.get_suptitle().startswith("2 of 3 misclassified samples of 4")


def test_no_mistakes_are_no_picture():
    with pytest.raises(ValueError, match="2 samples, none of them misclassified"):
        visualization.misclassified(np.zeros((2, 3, 3)), [0, 1], np.eye(2))
