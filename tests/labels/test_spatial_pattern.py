"""SpatialPattern: a wave for each class."""

import math

import numpy as np
import pytest

from keras_ff import labels
from keras_ff.labels.spatial_pattern import fourier_waves
from tests.helpers.labelled import uneven


@pytest.mark.parametrize("size", [(1, 2), (2, 2), (3, 4), (5, 5), (1, 9), (8, 6)], ids=str)
def test_waves_are_an_orthonormal_basis_of_all_but_the_mean(size):
    count = math.prod(size) - 1
    waves = fourier_waves(*size, count).astype("float64")
    assert waves.shape == (count, math.prod(size))
    np.testing.assert_allclose(waves @ waves.T, np.eye(count), atol=1e-6)
    np.testing.assert_allclose(waves.sum(axis=1), 0.0, atol=1e-6)


@pytest.mark.parametrize("size", [(6, 6), (5, 8), (28, 28)], ids=str)
def test_waves_hold_one_frequency_each_lowest_first(size):
    """By numpy's own Fourier transform."""
    count = min(math.prod(size) - 1, 40)
    waves = fourier_waves(*size, count).astype("float64").reshape(count, *size)
    down = np.fft.fftfreq(size[0])[:, None]
    across = np.fft.fftfreq(size[1])[None, :]
    radius = np.hypot(down, across)
    found = []
    for wave in waves:
        spectrum = np.abs(np.fft.fft2(wave))
        strongest = spectrum > 0.5 * spectrum.max()
        assert strongest.sum() in (1, 2)
        assert np.sum(spectrum[~strongest] ** 2) < 1e-9
        found.append(radius[strongest][0])
    assert np.all(np.diff(found) > -1e-9)
    all_radii = np.sort(radius.ravel())[1 : count + 1]
    np.testing.assert_allclose(found, all_radii, atol=1e-9)


def test_a_pattern_is_added_alike_to_every_channel():
    x = uneven((4, 6, 3))
    y = np.arange(6)
    label = np.array(labels.SpatialPattern(strength=0.5)(x, y, 6), "float64") - x
    scale = np.sqrt(0.5 * np.sum(x.astype("float64") ** 2, axis=(1, 2, 3)) / 3)
    expected = scale[:, None] * fourier_waves(4, 6, 6)
    for channel in range(3):
        np.testing.assert_allclose(
            label[..., channel].reshape(6, -1), expected, rtol=1e-3, atol=2e-6 * scale.max()
        )


@pytest.mark.parametrize(("shape", "classes"), [((3, 3), 9), ((2, 4, 3), 8), ((1, 2), 2)])
def test_more_classes_than_waves(shape, classes):
    x = np.ones((2, *shape))
    for refused in (
        lambda: labels.SpatialPattern()(x, np.array([0, 1]), classes),
        lambda: labels.SpatialPattern().output_shape(x.shape, classes),
    ):
        with pytest.raises(ValueError, match=rf"{classes - 1} waves.*Received: samples of shape"):
            refused()
    assert labels.SpatialPattern().output_shape(x.shape, classes - 1) == x.shape
