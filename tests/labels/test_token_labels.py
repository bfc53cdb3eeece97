"""TokenLabels: the label in every patch."""

import numpy as np
import pytest

from keras_ff import labels


def test_token_labels_by_hand():
    x = np.arange(16.0).reshape(1, 2, 4, 2)
    embedded = np.array(labels.TokenLabels(2, strength=2.0)(x, np.array([1]), 3))
    own = np.sqrt(2.0 * np.sum(x**2) / 2)
    expected = [
        [0, 1, 2, 3, 8, 9, 10, 11, 0, own, 0],
        [4, 5, 6, 7, 12, 13, 14, 15, 0, own, 0],
    ]
    np.testing.assert_allclose(embedded, [expected], rtol=1e-6)
    neutral = np.array(labels.TokenLabels(2, strength=2.0)(x, None, 3))
    np.testing.assert_allclose(neutral[0, :, 8:], own / np.sqrt(3), rtol=1e-6)


def test_patches_that_do_not_fill_the_image():
    for refused in (
        lambda: labels.TokenLabels(4)(np.ones((2, 6, 9, 1)), np.array([0, 1]), 3),
        lambda: labels.TokenLabels(4).output_shape((None, 6, 9), 3),
    ):
        with pytest.raises(ValueError, match=r"6 by 9 .*: 1, 3\. Received: patch_size=4"):
            refused()


@pytest.mark.parametrize("bad", [0, -1, 2.0, "two", True, None])
def test_a_patch_size_that_is_none(bad):
    with pytest.raises(ValueError, match=f"Received: patch_size={bad!r}"):
        labels.TokenLabels(bad)
