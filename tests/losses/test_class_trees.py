"""Class trees: means of classes, and levels of coarse classes by Ward's clustering."""

import itertools

import numpy as np
import pytest

from keras_ff.losses import class_means, class_tree
from tests.helpers import drawn
from tests.helpers.refusals import refused

# Two pairs close together, and a class far from both: Ward joins 0 and 3, then 1 and 4, then both.
PROTOTYPES = np.array([[0.0, 0.0], [4.0, 0.0], [40.0, 9.0], [1.0, 0.0], [4.0, 1.5]])
BELOW_THE_ROOT = [[0, 0, 1, 0, 0], [0, 1, 2, 0, 1], [0, 1, 2, 3, 4]]


def growth(first, second):
    """By how much joining two clusters raises the sum of squared distances to the mean."""
    distance = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    return len(first) * len(second) / (len(first) + len(second)) * distance


def ward_by_hand(prototypes, count):
    """So many clusters of classes, as sets."""
    clusters = [{index} for index in range(len(prototypes))]
    while len(clusters) > count:
        pairs = [(a, b) for a in range(len(clusters)) for b in range(a)]
        a, b = min(
            pairs, key=lambda pair: growth(*(prototypes[list(clusters[one])] for one in pair))
        )
        clusters[b] |= clusters.pop(a)
    return clusters


def as_sets(level):
    return [{k for k, one in enumerate(level) if one == j} for j in range(max(level) + 1)]


def test_class_means_are_those_of_each_class():
    x, y = drawn(7, 2, 3), np.array([2, 0, 1, 0, 2, 2, 0], "uint8")
    means = class_means(x, y)
    assert means.shape == (3, 6)
    np.testing.assert_allclose(means[0], x[[1, 3, 6]].reshape(3, 6).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(means[2], x[[0, 4, 5]].reshape(3, 6).mean(axis=0), rtol=1e-6)


def test_means_of_bytes_do_not_overflow():
    x = np.full((300, 1), 200, "uint8")
    assert class_means(x, np.zeros(300, int)).tolist() == [[200.0]]


def test_levels_are_those_below_the_root():
    assert class_tree(PROTOTYPES) == BELOW_THE_ROOT


def test_sizes_choose_levels_by_their_number_of_coarse_classes():
    assert class_tree(PROTOTYPES, sizes=[2, 4]) == [
        BELOW_THE_ROOT[0],
        [0, 1, 2, 0, 3],
        BELOW_THE_ROOT[-1],
    ]
    assert class_tree(PROTOTYPES, sizes=[]) == BELOW_THE_ROOT[-1:]


@pytest.mark.parametrize("seed", range(3))
def test_coarse_classes_are_the_clusters_of_ward(seed):
    prototypes = drawn(12, 4, seed=seed).astype("float64")
    coarse, middle, fine = class_tree(prototypes, sizes=[3, 7])
    assert as_sets(coarse) == sorted(ward_by_hand(prototypes, 3), key=min)
    assert as_sets(middle) == sorted(ward_by_hand(prototypes, 7), key=min)
    assert fine == list(range(12))


@pytest.mark.parametrize("sizes", [None, [2, 5, 6]])
def test_every_level_divides_the_one_before(sizes):
    levels = class_tree(drawn(9, 3), sizes)
    for coarse, fine in itertools.pairwise(levels):
        assert len(set(zip(coarse, fine, strict=True))) == max(fine) + 1 > max(coarse) + 1


def test_refusals():
    refused(lambda: class_means(np.ones((3, 2)), np.array([0, 2, 2])), "none of [1]")
    refused(lambda: class_means(np.ones((3, 2)), np.array([0, 1])), "y of shape (2,)")
    refused(lambda: class_means(np.ones((2, 2)), np.array([0, -1])), "from 0 on", "int64")
    refused(lambda: class_means(np.ones((2, 2)), np.array([0.0, 1.0])), "integers", "float64")
    refused(lambda: class_tree(np.ones((1, 4))), "two classes or more", "(1, 4)")
    refused(lambda: class_tree(np.array([[0.0], [np.nan]])), "finite", "(2, 1)")
    for sizes in ([3, 3], [4, 2], [5], [1, 2]):
        refused(lambda sizes=sizes: class_tree(PROTOTYPES, sizes), "sizes")
