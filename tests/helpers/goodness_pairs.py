"""Goodness of positives and negatives, and the logistic loss written out in numpy."""

import numpy as np

POSITIVE = np.array([0.3, 2.0, -1.0, 5.0])

NEGATIVES = {
    "one": np.array([1.0, 0.1, 0.5, 4.5]),
    "one_column": np.array([[1.0], [0.1], [0.5], [4.5]]),
    "three": np.random.default_rng(2).normal(1.0, 2.0, size=(4, 3)),
}


def softplus(x):
    return np.logaddexp(0.0, x)


def columns(positive, negative):
    """Both in float64, as (batch, 1) and (batch, several)."""
    positive, negative = np.asarray(positive, "float64"), np.asarray(negative, "float64")
    return positive[:, None], negative.reshape(len(positive), -1)


def logistic_by_hand(positive, negative, threshold=0.5, margin=0.0):
    positive, negative = columns(positive, negative)
    pull = softplus(threshold + margin - positive)[:, 0]
    return pull + softplus(negative - threshold + margin).mean(axis=1)
