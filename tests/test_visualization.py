"""Pictures: what they show is what was measured, and nothing hides it."""

import keras
import numpy as np
import pytest
from matplotlib import pyplot

import keras_ff
from keras_ff import visualization

HISTORY = {
    "loss": [1.0, 0.9, 0.8],
    "layer_1/loss": [0.7, 0.5, 0.4],
    "layer_2/loss": [None, float("nan"), 0.6],
    "layer_10/loss": [0.3, 0.2, 0.1],
    "val_layer_1/loss": [0.8, 0.6, 0.5],
    "accuracy": [0.5, 0.75, 1.0],
    "val_accuracy": [0.25, 0.5, 0.75],
}


def curves(axes):
    """Label, x and y of every curve that is drawn; those that only make a legend are left out."""
    return [
        (line.get_label(), line.get_xdata().tolist(), line.get_ydata())
        for line in axes.get_lines()
        if len(line.get_xdata())
    ]


def drawn(figure):
    figure.draw_without_rendering()
    return figure


@pytest.fixture(scope="module")
def two_classes():
    """40 samples, and a model that has learned a little of them."""
    rng = np.random.default_rng(7)
    y = np.arange(40) % 2
    x = rng.normal(size=(40, 6)).astype("float32") + np.where(y[:, None] == 0, 1.0, -1.0)
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8) for _ in range(2)], num_classes=2)
    optimizer = keras.optimizers.Adam(0.01)
    model.compile(optimizer, loss=keras_ff.losses.Logistic(threshold=[1.5, 2.5]))
    model.fit(x, y, epochs=8, batch_size=10, verbose=0)
    return model, x, y


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
    figure = drawn(visualization.learning_curves({**history, "accuracy": [0.5, 1.0]}))
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


def test_goodness_separation_tells_the_share_of_pairs_that_the_model_measures(two_classes):
    model, x, y = two_classes
    # With two classes the wrong label is the other one: evaluate sees the same pairs.
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    figure = visualization.goodness_separation(model, x, y)
    for number, axes in enumerate(figure.axes, start=1):
        share = 100 * logs[f"layer_{number}/pairs_told_apart"]
        assert axes.get_title() == f"Layer {number}: {share:.1f} % of pairs told apart"
        assert axes.get_xlabel() == "goodness (mean of squares of activities)"
    assert 0.5 < logs["layer_1/pairs_told_apart"] < 1


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


def test_streams_differ_in_hatching_and_thresholds_are_marked(two_classes):
    figure = visualization.goodness_separation(*two_classes)
    for axes, threshold in zip(figure.axes, (1.5, 2.5), strict=True):
        assert len({patch.get_hatch() for patch in axes.patches}) == 2
        (line,) = axes.get_lines()
        assert list(line.get_xdata()) == [threshold, threshold]


def test_the_legend_below_the_histograms_covers_no_data(two_classes):
    figure = drawn(visualization.goodness_separation(*two_classes))
    (legend,) = figure.legends
    extent = legend.get_window_extent()
    assert extent.y0 >= 0
    assert not any(extent.overlaps(axes.get_window_extent()) for axes in figure.axes)


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


def test_pictures_leave_no_open_figures_behind(two_classes):
    before = pyplot.get_fignums()
    visualization.learning_curves(HISTORY)
    visualization.goodness_separation(*two_classes)
    assert pyplot.get_fignums() == before
