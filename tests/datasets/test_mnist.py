"""MNIST through TFDS, where it is prepared."""

import numpy as np
import pytest

from keras_ff import datasets
from tests.helpers.images import joined


def is_prepared(name):
    import tensorflow_datasets as tfds

    return tfds.builder(name, try_gcs=False).data_path.exists()


@pytest.fixture(scope="module")
def mnist():
    if not is_prepared("mnist"):
        pytest.skip("TFDS has not prepared mnist here")
    return datasets.load("mnist", batch_size=6000, augment={"shift": 2}, initial_epoch=1)


@pytest.mark.slow
class TestMNIST:
    def test_parts(self, mnist):
        assert [len(part) for part in mnist] == [9, 2, 2]
        labels = [joined(part)[1] for part in mnist]
        assert [len(y) for y in labels] == [50_000, 10_000, 10_000]
        proportions = [np.bincount(y) / len(y) for y in labels]
        np.testing.assert_allclose(proportions[0], proportions[1], atol=1e-4)
        # The class counts of the published test set.
        assert np.bincount(labels[2]).tolist() == [
            980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
        ]  # fmt: skip

    def test_standardisation(self, mnist):
        x, _ = joined(mnist[1])
        assert x.shape == (10_000, 28, 28, 1)
        # Validation images come from the same source as those that were measured.
        assert abs(x.mean(dtype="float64")) < 0.02
        assert abs(x.std(dtype="float64") - 1) < 0.02
        # MNIST's published moments, of all 60,000 training images: 0.1307 and 0.3081.
        assert abs(x.min() + 0.1307 / 0.3081) < 0.01

    def test_info(self, mnist):
        info = datasets.info("mnist")
        assert (info.image_shape, info.num_classes) == ((28, 28, 1), 10)
