"""Accuracy by layer."""

import numpy as np

from keras_ff import visualization
from tests.helpers.pictures import layer_of, measured_of, rendered


def test_accuracy_alone_and_together(measured):
    (axes,) = rendered(visualization.layer_accuracy(measured)).axes
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    np.testing.assert_allclose(lines["alone"], [75, 50])
    np.testing.assert_allclose(lines["with all layers before it"], [75, 75])
    np.testing.assert_allclose(lines["chance"], 100 / 3)
    assert axes.get_ylabel() == "accuracy (%)" and axes.get_xlabel() == "layer"
    strokes = {(line.get_linestyle(), line.get_marker()) for line in axes.get_lines()}
    assert len(strokes) == 3


def test_chance_is_not_drawn_far_below_the_layers():
    scores = np.eye(10)[np.arange(20) % 10]
    right = measured_of([layer_of(np.ones(20), np.zeros(20), scores)], np.arange(20) % 10, 10)
    (axes,) = visualization.layer_accuracy(right).axes
    assert len(axes.get_lines()) == 2 and axes.get_ylim()[0] > 50
