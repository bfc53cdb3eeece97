"""Goodness functions: what a layer's activities are worth, per sample or per class."""

from keras_ff.goodness.class_groups import ClassGroups
from keras_ff.goodness.local_classifier import LocalClassifier
from keras_ff.goodness.whole_sample import Goodness, MeanActivity, MeanOfSquares, SumOfSquares
from keras_ff.utils import registry

KNOWN = {
    "sum_of_squares": SumOfSquares,
    "mean_of_squares": MeanOfSquares,
    "mean_activity": MeanActivity,
    "class_groups": ClassGroups,
    "local_classifier": LocalClassifier,
}


def get(identifier):
    """A goodness by name, object or configuration; see `keras_ff.utils.registry.get`."""
    return registry.get(identifier, (Goodness, ClassGroups, LocalClassifier), KNOWN, "goodness")
