"""Splits: parts without loss or overlap, the same for the same seed."""

import numpy as np
import pytest

from keras_ff import datasets
from tests.helpers.images import all_digits, batches, counted, joined, raw_digits


class TestParts:
    def test_digits_are_divided_without_loss_or_overlap(self):
        assert [len(y) for _, y in raw_digits()] == [1198, 240, 359]
        assert counted(*raw_digits()) == counted(all_digits())

    def test_shapes_and_dtypes(self):
        for part in datasets.load(batch_size=100):
            x, y = part.element_spec
            assert (x.shape.as_list(), x.dtype.name) == ([None, 8, 8, 1], "float32")
            assert (y.shape.as_list(), y.dtype.name) == ([None], "int32")

    def test_every_class_keeps_its_proportion(self):
        of_all = np.bincount(all_digits()[1])
        for (_, y), share in zip(raw_digits(), (0.8 * 5 / 6, 0.8 / 6, 0.2), strict=True):
            np.testing.assert_allclose(np.bincount(y), of_all * share, atol=1.5)

    @pytest.mark.slow
    def test_no_validation_leaves_the_training_set_whole(self):
        train, validation, test = datasets.load(validation_share=0, standardize=False)
        assert validation is None
        assert len(joined(train)[1]) == 1438
        assert counted(joined(test)) == counted(raw_digits()[2])

    @pytest.mark.slow
    def test_validation_share_is_one_of_the_training_set(self):
        train, validation, test = datasets.load(validation_share=0.1, standardize=False)
        assert [len(joined(part)[1]) for part in (train, validation)] == [1294, 144]
        assert counted(joined(test)) == counted(raw_digits()[2])

    def test_fewer_samples_keep_the_classes_in_their_proportions_and_the_test_set_whole(self):
        train, validation, test = datasets.load(samples=600, standardize=False)
        sizes = [len(joined(part)[1]) for part in (train, validation, test)]
        assert sizes == [500, 100, 359]
        some = counted(joined(train)) + counted(joined(validation))
        assert not some - counted(raw_digits()[0]) - counted(raw_digits()[1])
        classes = np.bincount(np.concatenate([joined(train)[1], joined(validation)[1]]))
        np.testing.assert_allclose(classes, np.bincount(all_digits()[1]) * 600 / 1797, atol=2)
        other, _, _ = datasets.load(samples=600, seed=1, standardize=False)
        assert counted(joined(other)) != counted(joined(train))

    @pytest.mark.slow
    def test_seed_decides_the_cuts(self):
        first = [counted(part) for part in raw_digits()]
        again, other = (
            [counted(joined(part)) for part in datasets.load(seed=seed, standardize=False)]
            for seed in (0, 1)
        )
        assert first == again
        assert all(one != another for one, another in zip(first, other, strict=True))

    def test_last_batch_is_kept_and_counted(self):
        for part, sizes in zip(
            datasets.load(batch_size=100),
            ([100] * 11 + [98], [100, 100, 40], [100, 100, 100, 59]),
            strict=True,
        ):
            assert [len(y) for _, y in batches(part)] == sizes
            assert int(part.cardinality()) == len(part) == len(sizes)

    @pytest.mark.slow
    def test_batches_that_divide_evenly_and_batches_larger_than_the_set(self):
        train, validation, test = datasets.load(batch_size=240)
        assert [len(y) for _, y in batches(validation)] == [240]
        train, validation, test = datasets.load(batch_size=5000)
        assert [len(part) for part in (train, validation, test)] == [1, 1, 1]
        assert len(batches(train)[0][1]) == 1198
