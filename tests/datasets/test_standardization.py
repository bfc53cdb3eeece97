"""Standardisation by the training part, and sizes."""

import numpy as np
import pytest

from keras_ff import datasets
from tests.helpers.images import colours, joined, raw_digits, write_tfds


class TestPixels:
    @pytest.mark.slow
    def test_training_part_has_mean_zero_and_deviation_one(self):
        x, _ = joined(datasets.load()[0])
        assert abs(x.mean(dtype="float64")) < 1e-6
        assert abs(x.std(dtype="float64") - 1) < 1e-6

    @pytest.mark.slow
    def test_all_parts_are_standardised_by_the_training_part(self):
        measured = raw_digits()[0][0]
        mean, deviation = measured.mean(dtype="float64"), measured.std(dtype="float64")
        for (pixels, _), part in zip(raw_digits(), datasets.load(), strict=True):
            np.testing.assert_allclose(joined(part)[0], (pixels - mean) / deviation, atol=1e-5)

    def test_without_standardisation_pixels_span_zero_to_one(self):
        x, _ = raw_digits()[0]
        assert (x.min(), x.max()) == (0, 1)
        assert set(np.unique(x * 16)) == set(range(17))

    @pytest.mark.slow
    def test_each_channel_by_itself_and_constant_channels_are_zero(self, tmp_path):
        write_tfds(tmp_path, "colours", {"train": colours(40), "test": colours(10)})
        train, _, _ = datasets.load("colours", data_dir=tmp_path)
        x, _ = joined(train)
        np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), [0, 0, 0], atol=1e-5)
        np.testing.assert_allclose(x.std(axis=(0, 1, 2)), [1, 0, 1], atol=1e-5)

    @pytest.mark.slow
    def test_resized_digits(self):
        train, _, test = datasets.load(image_size=(16, 12), standardize=False)
        assert train.element_spec[0].shape.as_list() == [None, 16, 12, 1]
        x, _ = joined(test)
        plain, _ = raw_digits()[2]
        np.testing.assert_allclose(x.mean(axis=(1, 2)), plain.mean(axis=(1, 2)), atol=0.02)
