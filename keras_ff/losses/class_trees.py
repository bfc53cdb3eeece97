"""Class trees: which classes are taken together, from coarse levels to fine ones."""

import numpy as np

from keras_ff.utils import checks, extras


def class_means(x, y):
    """The mean sample of every class.

    Args:
        x: array of shape (samples, ...).
        y: integer array of shape (samples,), classes from 0 on.

    Returns:
        float64 array of shape (classes, features), the samples' axes as one.

    Raises:
        ValueError: if there is not one class per sample, or a class has no samples.

    Example:

    >>> class_means(np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]]), np.array([0, 0, 1])).tolist()
    [[2.0, 0.0], [0.0, 5.0]]
    """
    x, y = np.asarray(x), np.asarray(y)
    whole = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    if not whole or len(x) != len(y) or not len(y) or y.min() < 0:
        raise ValueError(
            "Every sample needs a class, y an array of shape (samples,) of integers from 0 on. "
            f"Received: x of shape {x.shape}, y of shape {y.shape} and dtype {y.dtype}"
        )
    num_classes = int(y.max()) + 1
    missing = sorted(set(range(num_classes)) - set(y.tolist()))
    if missing:
        raise ValueError(
            f"Every class up to the largest, {num_classes - 1}, needs samples. "
            f"Received: none of {missing}"
        )
    rows = x.reshape(len(x), -1)
    return np.stack([rows[y == one].mean(axis=0, dtype="float64") for one in range(num_classes)])


def class_tree(prototypes, sizes=None):
    """Levels of coarse classes, by Ward's clustering of one vector per class.

    Clusters of classes are joined in pairs, those first by whose union the sum of squared
    distances to the cluster's mean grows least (Ward 1963,
    https://doi.org/10.1080/01621459.1963.10500845). Level d holds what the tree has d steps below
    its root, where a branch that has ended stays the single class that it ended in; the last
    level is that of the classes themselves. So does HCL-FF (Yao et al. 2026,
    https://arxiv.org/abs/2605.24797), whose vectors are the weights of a linear head on a trained
    network, each of length 1: `keras.utils.normalize(np.transpose(head.kernel))`. Without such a
    network, `class_means` of images will do.

    Args:
        prototypes: array of shape (classes, features).
        sizes: list of integers: levels of so many coarse classes instead, fewest first, and then
            the classes themselves. Defaults to `None`: a level for every step below the root.

    Returns:
        A list of levels, as `keras_ff.losses.CoarseClasses` takes it: each a list with the coarse
        class of every class, numbered in the order of their first classes.

    Raises:
        ValueError: if there are fewer than two prototypes, one is not finite, or the sizes are
            not integers that grow from 2 or more and stay below the number of classes.
        ImportError: if scipy is not installed, of the extra `datasets`; it is a `ValueError` as
            well.

    Example:

    >>> class_tree(np.array([[0.0], [9.0], [1.0], [5.0]]))
    [[0, 1, 0, 1], [0, 1, 2, 3]]
    >>> class_tree(np.array([[0.0], [9.0], [1.0], [5.0]]), sizes=[3])
    [[0, 1, 0, 2], [0, 1, 2, 3]]
    """
    extras.require("Trees of classes", "datasets", "scipy")
    from scipy.cluster import hierarchy

    prototypes = np.asarray(prototypes, "float64")
    if prototypes.ndim != 2 or len(prototypes) < 2 or not np.isfinite(prototypes).all():
        raise ValueError(
            "A tree needs a vector of finite numbers for each of two classes or more, "
            f"(classes, features). Received: prototypes of shape {prototypes.shape}"
        )
    num_classes = len(prototypes)
    linkage = hierarchy.linkage(prototypes, method="ward")
    if sizes is None:
        return _levels_below(hierarchy.to_tree(linkage), num_classes)
    sizes = [checks.whole_number(size, "sizes", minimum=2) for size in sizes]
    if sorted({*sizes, num_classes}) != [*sizes, num_classes]:
        raise ValueError(
            f"`sizes` must grow, and stay below the number of classes, {num_classes}. "
            f"Received: sizes={sizes!r}"
        )
    cuts = hierarchy.cut_tree(linkage, n_clusters=sizes).T if sizes else []
    return [*map(_in_order, cuts), list(range(num_classes))]


def _levels_below(root, num_classes):
    """The levels below the root of a tree of scipy."""
    nodes, levels = [root], []
    while not all(node.is_leaf() for node in nodes):
        pairs = [[node] if node.is_leaf() else [node.left, node.right] for node in nodes]
        nodes = [node for pair in pairs for node in pair]
        level = np.empty(num_classes, int)
        for number, node in enumerate(nodes):
            level[node.pre_order()] = number
        levels.append(_in_order(level))
    return levels


def _in_order(level):
    """The same coarse classes, numbered in the order in which they come first."""
    numbers = {}
    return [numbers.setdefault(int(one), len(numbers)) for one in level]
