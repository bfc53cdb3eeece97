"""Goodness of each label for each class."""

import numpy as np
import pytest

from keras_ff import measurements, visualization
from tests.helpers.pictures import layer_of, measured_of, rendered


@pytest.mark.slow
def test_a_label_is_shown_above_the_mean_over_labels(measured):
    figure = rendered(visualization.label_goodness(measured, ["ant", "bee", "cat"]))
    first, second = (axes for axes in figure.axes if axes.get_title())
    # Class 0 has the samples [2, 0, 1] and [1, 0, 0].
    expected = [
        [(1 + 2 / 3) / 2, (-1 - 1 / 3) / 2, (0 - 1 / 3) / 2],
        [-1, 2, -1],
        [2, -3, 1],
    ]
    np.testing.assert_allclose(first.images[0].get_array(), expected, atol=1e-6)
    assert second.get_title() == "Layer 2"
    assert [text.get_text() for text in first.get_xticklabels()] == ["ant", "bee", "cat"]
    assert (first.get_xlabel(), first.get_ylabel()) == ("label tried", "true class")


def test_classes_without_samples_stay_blank(measured):
    classes = visualization.label_goodness(measured_of(measured.layers, [0, 0, 2, 0]))
    shown = np.ma.filled(classes.axes[0].images[0].get_array(), np.nan)
    assert np.isnan(shown[1]).all() and np.isfinite(shown[[0, 2]]).all()


@pytest.mark.parametrize(
    "draw", [visualization.layer_accuracy, visualization.label_goodness], ids=lambda f: f.__name__
)
def test_without_labels_or_scores_there_is_nothing_to_say_of_classes(draw, measured):
    without = [layer_of([1, 2], [0, 1])]
    unlabelled = measurements.Measurements(**{**vars(measured), "labels": None})
    for nothing in (measured_of(without, [0, 1]), unlabelled):
        with pytest.raises(ValueError, match=r"labels.*Received"):
            draw(nothing)


def test_names_are_one_per_class(measured):
    with pytest.raises(ValueError, match=r"each of the 3 classes. Received: 2 names, \['a', 'b'\]"):
        visualization.label_goodness(measured, ["a", "b"])
