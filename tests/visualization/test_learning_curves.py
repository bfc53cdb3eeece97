"""Learning curves."""

import numpy as np
import pytest

from keras_ff import visualization
from tests.helpers.pictures import HISTORY, rendered


def curves(axes):
    """Label, x and y of every curve that is drawn; those that only make a legend are left out."""
    return [
        (line.get_label(), line.get_xdata().tolist(), line.get_ydata())
        for line in axes.get_lines()
        if len(line.get_xdata())
    ]


def test_learning_curves_show_the_history():
    left, right = visualization.learning_curves(HISTORY).axes
    shown = curves(left)
    epochs = [1, 2, 3]
    expected = [
        ("layer 1", HISTORY["layer_1/loss"]),
        (None, HISTORY["val_layer_1/loss"]),
        ("layer 2", [np.nan, np.nan, 0.6]),
        ("layer 3", HISTORY["layer_10/loss"]),  # the third in order of numbers, not of letters
    ]
    assert [x for _, x, _ in shown] == [epochs] * 4
    for (label, _, values), (name, figures) in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(values, figures)
        assert name is None or label == name
    (_, _, training), (_, _, validation) = curves(right)
    np.testing.assert_array_equal(training, [50, 75, 100])
    np.testing.assert_array_equal(validation, [25, 50, 75])
    assert left.get_ylabel() == "loss (nats)" and right.get_ylabel() == "accuracy (%)"


def test_training_and_validation_differ_in_stroke():
    left, right = visualization.learning_curves(HISTORY).axes
    layer, validation = (line for line in left.get_lines()[:2])
    assert (layer.get_linestyle(), validation.get_linestyle()) == ("-", ":")
    assert len({line.get_linestyle() for line in right.get_lines()}) == 2


def test_layers_differ_in_marker_and_color_beyond_the_number_of_colors():
    history = {f"layer_{number}/loss": [1.0, 0.5] for number in range(1, 13)}
    left, _ = visualization.learning_curves(history).axes
    assert len({(line.get_color(), line.get_marker()) for line in left.get_lines()}) == 12


@pytest.mark.parametrize("layers", [1, 3, 12])
def test_legends_cover_no_data(layers):
    history = {f"layer_{number}/loss": [1.0, 0.5] for number in range(1, layers + 1)}
    history |= {f"val_layer_{number}/loss": [1.0, 0.5] for number in range(1, layers + 1)}
    figure = rendered(visualization.learning_curves({**history, "accuracy": [0.5, 1.0]}))
    width, height = figure.canvas.get_width_height()
    for axes in figure.axes:
        legend = axes.get_legend().get_window_extent()
        assert not any(legend.overlaps(other.get_window_extent()) for other in figure.axes)
        assert legend.x0 >= 0 and legend.y0 >= 0 and legend.x1 <= width and legend.y1 <= height


@pytest.mark.parametrize(
    ("history", "words"),
    [({"loss": [1.0]}, "layer_1/loss"), ({"accuracy": []}, "without epochs"), ({}, "layer_1/loss")],
)
def test_histories_without_anything_to_draw_are_refused(history, words):
    with pytest.raises(ValueError, match=words):
        visualization.learning_curves(history)
