"""Overlay: the label in the first pixels."""

import math

import numpy as np
import pytest

from keras_ff import labels
from tests.helpers.labelled import energy, uneven


def test_overlay_writes_in_reading_order():
    x = np.full((4, 2, 3), 5.0)
    embedded = np.array(labels.Overlay(strength=0.5)(x, np.array([0, 1, 2, 3]), 4))
    length = np.sqrt(0.5 * 2 * 25.0)
    for sample, place in enumerate([(0, 0), (0, 1), (0, 2), (1, 0)]):
        expected = np.zeros((2, 3))
        expected[place] = length
        expected[1, 1:] = 5.0
        np.testing.assert_allclose(embedded[sample], expected, rtol=1e-6)


def test_overlay_writes_into_every_channel():
    x = np.ones((1, 2, 2, 4), "float32")
    embedded = np.array(labels.Overlay(strength=1.0)(x, np.array([1]), 2))[0]
    # Two pixels of four channels are left, energy 8, which the label shares among its channels.
    np.testing.assert_array_equal(embedded[0, 0], 0)
    np.testing.assert_allclose(embedded[0, 1], np.sqrt(8 / 4), rtol=1e-6)
    np.testing.assert_array_equal(embedded[1], 1)


@pytest.mark.parametrize("given", [[2, 0], None], ids=["label", "neutral"])
def test_overlay_blanks_its_pixels_first(given):
    """What stood there neither shows nor counts as the sample's energy."""
    given = None if given is None else np.array(given)
    x = uneven((4, 4, 2), samples=2)
    other = x.copy()
    other[:, 0, :3] = 1e4
    embedding = labels.Overlay()
    np.testing.assert_array_equal(embedding(x, given, 3), embedding(other, given, 3))


@pytest.mark.parametrize(
    ("shape", "classes"), [((4,), 4), ((3,), 10), ((3, 3), 9), ((3, 3, 3), 10), ((2, 5, 7), 10)]
)
def test_overlay_refuses_samples_too_small(shape, classes):
    embedding = labels.Overlay()
    pixels = math.prod(shape[:2])
    with pytest.raises(ValueError, match=rf"Received: .*{pixels} pixels"):
        embedding(np.ones((2, *shape)), np.array([0, 1]), classes)
    with pytest.raises(ValueError, match=r"Append"):
        embedding.output_shape((None, *shape), classes)


@pytest.mark.parametrize(("shape", "classes"), [((5,), 4), ((3, 3, 3), 8), ((2, 2), 3)])
def test_one_pixel_to_spare_is_enough(shape, classes):
    x = np.full((2, *shape), 2.0)
    embedding = labels.Overlay(strength=1.0)
    embedded = np.array(embedding(x, np.array([0, 1]), classes))
    channels = shape[-1] if len(shape) == 3 else 1
    np.testing.assert_allclose(energy(embedded.reshape(2, -1)), 2 * 4.0 * channels, rtol=1e-6)
