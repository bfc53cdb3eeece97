"""Histograms of positive and negative goodness."""

import numpy as np
import pytest

import keras_ff
from keras_ff import visualization
from tests.helpers.pictures import rendered


@pytest.mark.slow
def test_goodness_separation_tells_the_share_of_pairs_that_the_model_measures(two_classes):
    model, x, y = two_classes
    # With two classes the wrong label is the other one: evaluate sees the same pairs.
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    figure = visualization.goodness_separation(model, x, y)
    for number, axes in enumerate(figure.axes, start=1):
        share = 100 * logs[f"layer_{number}/pair_accuracy"]
        assert axes.get_title() == f"Layer {number}: pair accuracy {share:.1f} %"
        assert axes.get_xlabel() == "goodness (mean of squares of activities)"
    assert 0.5 < logs["layer_1/pair_accuracy"] < 1


@pytest.mark.slow
def test_histograms_hold_all_samples_and_their_means(two_classes):
    model, x, y = two_classes
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    figure = visualization.goodness_separation(model, x, y)
    for number, axes in enumerate(figure.axes, start=1):
        for patch, stream in zip(axes.patches, ("negative", "positive"), strict=True):
            corners = patch.get_xy()
            steps = corners[1 : len(corners) // 2 * 2]
            left, right, height = steps[:-1:2, 0], steps[1::2, 0], steps[:-1:2, 1]
            wide = right > left
            left, right, height = left[wide], right[wide], height[wide]
            assert height.sum() == pytest.approx(100)
            mean = np.sum(height * (left + right) / 2) / 100
            expected = logs[f"layer_{number}/{stream}_goodness"]
            assert mean == pytest.approx(expected, abs=(right - left).max())


@pytest.mark.slow
def test_streams_differ_in_hatching_and_thresholds_are_marked(two_classes):
    figure = visualization.goodness_separation(*two_classes)
    for axes, threshold in zip(figure.axes, (1.5, 2.5), strict=True):
        assert len({patch.get_hatch() for patch in axes.patches}) == 2
        (line,) = axes.get_lines()
        assert list(line.get_xdata()) == [threshold, threshold]


@pytest.mark.slow
def test_the_legend_below_the_histograms_covers_no_data(two_classes):
    figure = rendered(visualization.goodness_separation(*two_classes))
    (legend,) = figure.legends
    extent = legend.get_window_extent()
    assert extent.y0 >= 0
    assert not any(extent.overlaps(axes.get_window_extent()) for axes in figure.axes)


@pytest.mark.slow
def test_many_layers_take_several_rows():
    model = keras_ff.FFModel([keras_ff.layers.FFDense(3) for _ in range(6)], num_classes=2)
    model.compile(loss="symba")
    model.build((None, 4))
    figure = visualization.goodness_separation(model, np.eye(4, dtype="float32"), [0, 1, 0, 1])
    titled = [axes for axes in figure.axes if axes.get_title()]
    assert len(titled) == 6
    assert len({axes.get_subplotspec().rowspan.start for axes in titled}) == 2
    assert all(not axes.get_lines() for axes in titled)  # SymBa has no threshold to mark


def test_no_samples_are_refused(two_classes):
    model, x, y = two_classes
    with pytest.raises(ValueError, match=r"no samples.*Received: x of shape \(0, 6\)"):
        visualization.goodness_separation(model, x[:0], y[:0])
