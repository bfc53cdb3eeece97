"""Append: the label as extra inputs."""

import numpy as np

from keras_ff import labels


def test_append_by_hand():
    x = np.array([[[3.0], [4.0]], [[0.0], [2.0]]])
    embedded = labels.Append(strength=0.04)(x, np.array([1, 2]), 3)
    np.testing.assert_allclose(embedded, [[3, 4, 0, 1, 0], [0, 2, 0, 0, 0.4]], rtol=1e-6)
    neutral = labels.Append(strength=3.0)(x, None, 3)
    np.testing.assert_allclose(neutral, [[3, 4, 5, 5, 5], [0, 2, 2, 2, 2]], rtol=1e-6)
