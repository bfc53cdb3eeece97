"""Pictures: what they show is what was measured, and nothing hides it."""

import io

import keras
import numpy as np
import pytest
from matplotlib import pyplot

import keras_ff
from keras_ff import measurements, visualization
from keras_ff.layers import FFConv2D, FFDense
from keras_ff.visualization import images, style
from keras_ff.visualization.filters import filter_images

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
        assert axes.get_title() == f"Layer {number}: pair accuracy {share:.1f} %"
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


# Measured layers.


def layer_of(positive, negative, class_scores=None, number=1, threshold=None):
    """A layer as if it had been measured."""
    return measurements.LayerMeasurements(
        number=number,
        goodness_name="mean of squares",
        threshold=threshold,
        positive_goodness=np.asarray(positive, "float32"),
        negative_goodness=np.asarray(negative, "float32").reshape(len(positive), -1),
        class_scores=None if class_scores is None else np.asarray(class_scores, "float32"),
        activities=np.zeros(3, "float32"),
        unit_range=np.ones(4, "float32"),
        saturated_share=0.5,
    )


def measured_of(layers, labels, classes=3):
    return measurements.Measurements(
        layers=layers,
        labels=np.asarray(labels),
        num_classes=classes,
        bias=np.zeros(classes),
        class_groups=False,
        scores_are_goodness=True,
        stream_names=("positive (true label)", "negative (wrong label)"),
    )


LABELS = [0, 1, 2, 0]
FIRST = [[2, 0, 1], [0, 3, 0], [5, 0, 4], [1, 0, 0]]  # takes the third for class 0
SECOND = [[0, 1, 0], [0, 1, 0], [0, 0, 3], [0, 2, 0]]  # knows classes 1 and 2


@pytest.fixture
def measured():
    layers = [
        layer_of([2, 3, 4, 5], [0, 1, 2, 6], FIRST, 1, threshold=1.5),
        layer_of([0, 1, 2, 3], [0, 1, 2, 3], SECOND, 2),
    ]
    return measured_of(layers, LABELS)


def test_densities_stand_where_the_goodness_is(measured):
    figure = drawn(visualization.goodness_densities(measured))
    first, second = figure.axes
    assert first.get_title().startswith("Layer 1: positive minus negative +1.25, 75.0 % of pairs")
    assert second.get_title().startswith("Layer 2: positive minus negative +0, 0.0 % of pairs")
    positive, negative = (area.get_paths()[0].vertices for area in first.collections)
    assert positive[:, 1].max() == pytest.approx(1) and negative[:, 1].min() == pytest.approx(-1)
    assert positive[positive[:, 1].argmax(), 0] == pytest.approx(3.5, abs=0.5)
    assert negative[negative[:, 1].argmin(), 0] == pytest.approx(1.3, abs=0.7)
    assert len({area.get_hatch() for area in first.collections}) == 2
    dashed = [line for line in first.get_lines() if line.get_linestyle() == "--"]
    assert list(dashed[0].get_xdata()) == [1.5, 1.5]
    assert not [line for line in second.get_lines() if line.get_linestyle() == "--"]
    assert second.get_xlabel() == "goodness (mean of squares of activities)"


def test_goodness_that_is_the_same_for_all_samples_can_be_drawn():
    flat = layer_of([1, 1, 1, 1], [1, 1, 1, 1])
    axes = drawn(visualization.goodness_densities(measured_of([flat], LABELS))).axes[0]
    assert np.abs(axes.collections[0].get_paths()[0].vertices[:, 1]).max() == 0


def test_accuracy_alone_and_together(measured):
    (axes,) = drawn(visualization.layer_accuracy(measured)).axes
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


def test_a_label_is_shown_above_the_mean_over_labels(measured):
    figure = drawn(visualization.label_goodness(measured, ["ant", "bee", "cat"]))
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


def test_names_are_one_a_class(measured):
    with pytest.raises(ValueError, match=r"each of the 3 classes. Received: 2 names, \['a', 'b'\]"):
        visualization.label_goodness(measured, ["a", "b"])


# Confusion matrices.


def test_cells_hold_counts_and_are_coloured_by_share():
    figure = drawn(visualization.confusion_matrix([[8, 2], [0, 5]], ["cat", "dog"]))
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), [[80, 20], [0, 100]])
    assert [text.get_text() for text in axes.texts] == ["8", "2", "", "5"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answer", "true class")


def test_figures_in_cells_differ_from_their_ground_in_lightness():
    figure = visualization.confusion_matrix(np.eye(10, dtype=int) * 30 + 1)
    image = figure.axes[0].images[0]
    for text, value in zip(figure.axes[0].texts, image.get_array().ravel(), strict=True):
        red, green, blue, _ = image.cmap(image.norm(value))
        ground = 0.3 * red + 0.59 * green + 0.11 * blue
        assert abs(ground - (0.0 if text.get_color() == "black" else 1.0)) > 0.45


def test_many_classes_have_no_figures_in_their_cells():
    assert not visualization.confusion_matrix(np.eye(100, dtype=int)).axes[0].texts


@pytest.mark.parametrize("counts", [[1, 2], [[1, 2, 3], [4, 5, 6]]])
def test_matrices_are_square(counts):
    with pytest.raises(ValueError, match=r"row and a column for every class. Received: counts of"):
        visualization.confusion_matrix(counts)


# Filters and samples.


def built(layers, shape, **arguments):
    model = keras_ff.FFModel(layers, 3, **arguments)
    model.compile()
    model.build((None, *shape))
    return model


@pytest.mark.parametrize("embedding", ["append", "overlay", "label_map"])
def test_filters_are_the_weights_of_the_pixels(embedding):
    model = built([FFDense(5)], (4, 6, 1), label_embedding=embedding)
    kernel = keras.ops.convert_to_numpy(model.ff_layers[0].transform.kernel)
    if embedding == "label_map":
        kernel = kernel.reshape(4, 6, 2, 5)[:, :, 0]
    expected = kernel.reshape(-1, 5)[:24].reshape(4, 6, 5)
    found = filter_images(model)
    np.testing.assert_array_equal(found[..., 0], expected.transpose(2, 0, 1))


def test_filters_are_tiled_with_zero_in_the_middle():
    model = built([FFDense(3)], (2, 2, 1))
    kernel = np.zeros((7, 3), "float32")
    kernel[:4] = np.array([[4, 0, -2, 1], [1, 1, 1, 1], [0, 0, 0, 0]]).T
    model.ff_layers[0].transform.kernel.assign(kernel)
    figure = drawn(visualization.filters(model))
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    white = [1, 1]
    np.testing.assert_allclose(sheet[:, 0:2], [[1, 0.5], [0.25, 0.625]])
    np.testing.assert_allclose(sheet[:, 2], white)
    np.testing.assert_allclose(sheet[:, 3:5], 1)
    np.testing.assert_allclose(sheet[:, 6:8], 0.5)
    assert figure.axes[0].get_title() == "Filters of layer 1: 3 of 3 units"


def test_filters_of_convolutions():
    model = built([FFConv2D(5)], (6, 6, 3), label_embedding="overlay")
    kernel = keras.ops.convert_to_numpy(model.ff_layers[0].transform.kernel)
    np.testing.assert_array_equal(filter_images(model), kernel.transpose(3, 0, 1, 2))
    model = built([FFConv2D(5)], (6, 6, 1), label_embedding="label_map")
    kernel = keras.ops.convert_to_numpy(model.ff_layers[0].transform.kernel)
    expected = kernel.mean(axis=2, keepdims=True).transpose(3, 0, 1, 2)
    np.testing.assert_allclose(filter_images(model), expected, rtol=1e-6)


def test_weights_that_are_no_images_are_refused():
    with pytest.raises(ValueError, match=r"Received: Dense on samples of shape \(6,\)"):
        visualization.filters(built([FFDense(4)], (6,)))
    with pytest.raises(ValueError, match="number=0"):
        visualization.filters(built([FFDense(4)], (2, 2, 1)), number=0)


def sheet_of(model, x, y=None, **arguments):
    figure = drawn(visualization.samples(model, x, y, **arguments))
    (axes,) = figure.axes
    return axes, np.asarray(axes.images[0].get_array())


def test_sheets_hold_samples_with_their_labels():
    """Of 6 × 6 pixels, with strips of three classes, two pixels a class."""
    model = built([FFDense(4)], (6, 6, 1), negatives=keras_ff.negatives.FixedLabels(seed=0))
    x = np.random.default_rng(0).random((4, 6, 6, 1)).astype("float32")
    x[0, 0, 0], x[0, 0, 1] = 0, 1  # so that nothing is stretched
    y = np.array([1, 0, 2, 1])
    axes, sheet = sheet_of(model, x, y, number=2, class_names=["ant", "bee", "cat"])
    given = model.samples(x, y, 0)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["bee", "ant"]
    kinds = [text.get_text() for text in axes.get_yticklabels()]
    assert kinds == ["positive", "negative", "neutral"]
    height = len(sheet) // 3
    for row, kind in enumerate(kinds):
        embedded = given[kind] if kind != "negative" else given[kind][0]
        for column in range(2):
            top, left = row * height, column * 8 + 1
            image = sheet[top : top + 6, left : left + 6]
            np.testing.assert_allclose(image, x[column, ..., 0], atol=1e-6)
            label = embedded[column, 36:]
            strip = sheet[top + 7, left : left + 6]
            expected = np.repeat(label == label.max(), 2) if kind != "neutral" else 0.5
            np.testing.assert_allclose(strip, expected)
    assert len(np.unique(sheet[:, 0])) == 1 and sheet[0, 0] not in (0, 1)  # the margin


def test_hybrids_are_called_so():
    model = built(
        [FFDense(4)],
        (6, 6, 1),
        label_embedding=None,
        negatives="hybrid_images",
        readout="softmax",
    )
    x = np.random.default_rng(0).random((4, 6, 6, 1))
    axes, sheet = sheet_of(model, x)
    assert [text.get_text() for text in axes.get_yticklabels()][1] == "negative\n(hybrid)"
    assert not axes.get_xticklabels() or not axes.get_xticklabels()[0].get_text()
    hybrid = model.samples(x, None, 0)["negative"][0, 0, ..., 0]
    height = len(sheet) // 3
    low, high = x.min(), x.max()
    np.testing.assert_allclose(
        sheet[height : height + 6, 1:7], (hybrid - low) / (high - low), atol=1e-6
    )


def test_class_groups_have_positives_alone():
    layers = [FFDense(6, goodness="class_groups")]
    model = built(layers, (6, 6), label_embedding=None, negatives=None)
    axes, sheet = sheet_of(model, np.random.rand(3, 6, 6), np.arange(3))
    assert [text.get_text() for text in axes.get_yticklabels()] == ["positive"]
    assert len(sheet) == 8


def test_narrow_images_are_enlarged_until_all_classes_have_room():
    model = built([FFDense(4)], (4, 4, 1))
    x = np.zeros((2, 4, 4, 1), "float32")
    x[:, 0, 0] = 1
    _, sheet = sheet_of(model, x, np.array([0, 2]))
    assert sheet[:2, 1:3].tolist() == [[1, 1], [1, 1]]
    strip = sheet[9, 1:9]
    assert [len(set(strip[strip == 1])), (strip == 1).sum() >= 2] == [1, True]


def test_samples_that_are_no_images_are_refused():
    model = built([FFDense(4)], (6,))
    with pytest.raises(ValueError, match=r"images of one or three channels. Received"):
        visualization.samples(model, np.zeros((3, 6)), np.arange(3))


# Mistakes.


def test_the_surest_mistakes_come_first():
    scores = np.array([[0, 0.5], [0, 0.9], [1, 0], [0.2, 0.3]])
    x = np.arange(4)[:, None, None] * np.ones((4, 3, 3))
    figure = drawn(visualization.misclassified(x, [0, 0, 0, 0], scores, 2, ["cat", "dog"]))
    shown = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == ["cat → dog"] * 2
    assert [axes.images[0].get_array()[0, 0] for axes in shown] == [1 / 3, 0]
    assert figure.get_suptitle().startswith("2 of 3 wrong answers of 4")


def test_no_mistakes_are_no_picture():
    with pytest.raises(ValueError, match="2 answers, none of them wrong"):
        visualization.misclassified(np.zeros((2, 3, 3)), [0, 1], np.eye(2))


# Activations and models.


def test_activations_and_the_gradients_they_learn_by():
    figure = drawn(visualization.activation_functions(["tanh", "sign", "relu_full_grad"]))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["tanh", "sign", "relu_full_grad"]
    by_name = {}
    for axes in figure.axes:
        value, gradient = (line for line in axes.get_lines() if len(line.get_xdata()) > 2)
        assert value.get_linestyle() != gradient.get_linestyle()
        points = value.get_xdata()
        by_name[axes.get_title()] = points, value.get_ydata(), gradient.get_ydata()
    points, values, gradients = by_name["tanh"]
    np.testing.assert_allclose(values, np.tanh(points), atol=1e-5)
    np.testing.assert_allclose(gradients, 1 - np.tanh(points) ** 2, atol=1e-5)
    points, values, gradients = by_name["sign"]
    np.testing.assert_array_equal(values, np.where(points >= 0, 1, -1))
    np.testing.assert_array_equal(gradients, np.abs(points) <= 1)
    points, values, gradients = by_name["relu_full_grad"]
    np.testing.assert_array_equal(values, np.maximum(points, 0))
    np.testing.assert_array_equal(gradients, 1)


def test_no_activations_are_no_picture():
    with pytest.raises(ValueError, match="no names"):
        visualization.activation_functions([])


def test_models_are_compared_by_accuracy_and_time():
    metrics = {
        "greedy": {"test_accuracy": 0.96, "validation_accuracy": 0.97, "seconds": 81.0},
        "pipelined": {"test_accuracy": 0.98, "seconds": None},
    }
    figure = drawn(visualization.model_comparison(metrics))
    accuracy, seconds = figure.axes
    points = {line.get_label(): line.get_xydata().tolist() for line in accuracy.get_lines()}
    assert points == {"test": [[96, 0], [98, 1]], "validation": [[97, 0]]}
    assert [text.get_text() for text in accuracy.get_yticklabels()] == ["greedy", "pipelined"]
    assert [bar.get_width() for bar in seconds.patches] == [81, 0]
    assert [text.get_text() for text in seconds.texts] == ["81 s", "not known"]
    assert accuracy.get_ylim() == (1.5, -0.5)  # the first at the top
    assert (accuracy.get_xlabel(), seconds.get_xlabel()) == ("accuracy (%)", "time (s)")


@pytest.mark.parametrize(
    ("metrics", "words"),
    [({}, "no models"), ({"a": {"seconds": 3.0}}, r"Received: 'a' with \['seconds'\]")],
)
def test_models_without_figures_are_refused(metrics, words):
    with pytest.raises(ValueError, match=words):
        visualization.model_comparison(metrics)


# All of them.


def every_picture(model, x, y):
    measured = measurements.measure(model, x, y)
    yield visualization.goodness_densities(measured)
    yield visualization.layer_accuracy(measured)
    yield visualization.label_goodness(measured)
    yield visualization.confusion_matrix(np.eye(3, dtype=int))
    yield visualization.filters(model)
    yield visualization.samples(model, x, y)
    yield visualization.misclassified(x, y, np.eye(3)[(y + 1) % 3])
    yield visualization.activation_functions()
    yield visualization.model_comparison({"a": {"test_accuracy": 0.5, "seconds": 1.0}})


@pytest.fixture(scope="module")
def pictures():
    x = np.random.default_rng(0).random((12, 6, 6, 1))
    y = np.arange(12) % 3
    model = keras_ff.FFModel([FFDense(4), FFDense(4)], 3)
    model.compile(loss="logistic")
    model.build(x.shape)
    return [drawn(figure) for figure in every_picture(model, x, y)]


def test_legends_cover_no_data_in_any_picture(pictures):
    for figure in pictures:
        width, height = figure.canvas.get_width_height()
        legends = [*figure.legends, *[axes.get_legend() for axes in figure.axes]]
        for legend in legends:
            if legend is not None:
                extent = legend.get_window_extent()
                others = [axes.get_window_extent() for axes in figure.axes]
                assert not any(extent.overlaps(other) for other in others)
                assert extent.x0 >= 0 and extent.y0 >= 0
                assert extent.x1 <= width and extent.y1 <= height


def test_every_picture_has_a_title_and_labels(pictures):
    for figure in pictures:
        titles = [figure.get_suptitle(), *[axes.get_title() for axes in figure.axes]]
        assert any(titles)
        texts = [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())]
        ticks = [axes.get_yticklabels() for axes in figure.axes]
        assert any(texts) or any(ticks) or all(axes.images for axes in figure.axes)


def test_pictures_leave_no_open_figures_behind(two_classes):
    before = pyplot.get_fignums()
    visualization.learning_curves(HISTORY)
    visualization.goodness_separation(*two_classes)
    visualization.activation_functions(["relu"])
    assert pyplot.get_fignums() == before


def test_pixels_and_files_show_the_same_picture():
    figure = visualization.confusion_matrix([[3, 1], [0, 2]])
    drawn_pixels = style.pixels(figure, dpi=60)
    assert drawn_pixels.dtype == np.uint8 and drawn_pixels.shape[-1] == 3
    read = pyplot.imread(io.BytesIO(style.png(figure, dpi=60)))[..., :3]
    np.testing.assert_allclose(read, drawn_pixels / 255, atol=2 / 255)


@pytest.mark.parametrize("shape, seen", [((8, 8), True), ((8, 8, 3), True), ((8, 8, 2), False)])
def test_which_samples_can_be_seen(shape, seen):
    assert images.can_be_seen(shape) is seen
