"""Dropout from random bits."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ff import backends
from keras_ff.layers import (
    dropout_by_bits,
)


@pytest.mark.parametrize("shape", [(4, 30, 7), (6, 1001)], ids=str)
def test_random_bits_are_uniform_and_follow_the_seed(shape):
    generator = keras.random.SeedGenerator(3)
    first, second = generator.next(), generator.next()
    bits = np.array(backends.random_bits(shape, first))
    assert bits.shape == shape and bits.min() >= 0 and bits.max() < 2**16
    if keras.backend.backend() != "torch":  # which has no uint16
        assert bits.dtype == np.uint16
    np.testing.assert_array_equal(backends.random_bits(shape, first), bits)
    assert np.mean(bits == np.array(backends.random_bits(shape, second))) < 0.01
    uniform = bits.ravel() / 2**16
    assert np.mean(uniform) == pytest.approx(0.5, abs=0.04)
    assert np.std(uniform) == pytest.approx(12**-0.5, abs=0.02)
    # The two halves of a word have nothing in common, nor have neighbouring words.
    for lag in (1, 2):
        assert abs(np.corrcoef(uniform[lag:], uniform[:-lag])[0, 1]) < 0.11


def test_dropout_takes_its_rate_to_a_part_of_65536():
    every = np.arange(2**16).astype("uint16")
    for rate in (0.1, 0.25, 0.9):
        found = np.array(dropout_by_bits.dropped(ops.ones(2**16), every, rate))
        assert np.mean(found == 0) == pytest.approx(rate, abs=2**-16)
        assert np.mean(found) == pytest.approx(1.0, abs=1e-6)
