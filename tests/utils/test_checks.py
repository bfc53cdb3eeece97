"""Numbers and lists that cannot be are refused with what was received."""

import numpy as np
import pytest

import keras_ff
from keras_ff import goodness, labels, layer_schedules, losses, negatives, readouts
from tests.helpers.refusals import refused

POSITIVE = [
    (losses.SymBa, "alpha"),
    (losses.LabelSoftmax, "alpha"),
    (goodness.SumOfSquares, "scale"),
    (goodness.MeanOfSquares, "scale"),
    (labels.Append, "strength"),
    (labels.Overlay, "strength"),
]

FINITE = [
    (goodness.SumOfSquares, "center"),
    (goodness.MeanOfSquares, "center"),
    (losses.Logistic, "threshold"),
    (losses.Logistic, "margin"),
]

NO_NUMBERS = ["two", None, float("nan"), float("inf"), True, 1j]


@pytest.mark.parametrize("value", [0, 0.0, -1, -0.5])
@pytest.mark.parametrize(("part", "name"), POSITIVE)
def test_numbers_that_must_be_above_zero(part, name, value):
    refused(lambda: part(**{name: value}), "above 0", f"{name}={value!r}")
    assert getattr(part(**{name: 1e-6}), name) == 1e-6


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
@pytest.mark.parametrize(("part", "name"), POSITIVE + FINITE)
def test_what_is_no_finite_number(part, name, value):
    refused(lambda: part(**{name: value}), f"`{name}`", f"{name}={value!r}")


@pytest.mark.parametrize("name", ["threshold", "margin"])
def test_lists_that_hold_something_else(name):
    refused(lambda: losses.Logistic(**{name: [1.0, "two"]}), f"`{name}`", "'two'")


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (losses.Logistic, "threshold"),
        (losses.Logistic, "margin"),
        (losses.SymBa, "alpha"),
        (goodness.SumOfSquares, "scale"),
        (readouts.Goodness, "layers"),
        (readouts.Softmax, "layers"),
        (layer_schedules.Greedy, "epochs_per_layer"),
    ],
)
def test_arrays_in_place_of_numbers_or_lists(part, name):
    refused(lambda: part(**{name: np.array([1, 2])}), f"`{name}`", f"{name}=array([1, 2])")


@pytest.mark.parametrize("margin", [-0.1, [0.5, -1.0]], ids=str)
def test_a_negative_margin(margin):
    refused(lambda: losses.Logistic(margin=margin), "negative", f"margin={margin}")


def test_a_misspelt_threshold():
    refused(lambda: losses.Logistic(threshold="lerned"), "Did you mean 'learned'", "'lerned'")
    refused(lambda: losses.Logistic(threshold="atuo"), "'auto'", "'atuo'")


@pytest.mark.parametrize("epsilon", [0.0, -1e-8, "small", float("nan")])
def test_an_epsilon_that_is_not_above_zero(epsilon):
    refused(lambda: keras_ff.layers.LengthNormalization(epsilon=epsilon), f"epsilon={epsilon!r}")


@pytest.mark.parametrize("count", [0, -1, 1.0, "two", None, True])
def test_counts_of_negatives(count):
    refused(lambda: negatives.RandomLabels(count=count), f"count={count!r}")


@pytest.mark.parametrize("epochs", [0, -1, 1.5, "two", True, [1, 0], [1, None], [2.0]], ids=str)
def test_epochs_per_layer(epochs):
    refused(lambda: layer_schedules.Greedy(epochs), f"epochs_per_layer={epochs!r}")
