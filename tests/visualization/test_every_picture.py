"""What pictures have in common."""

import io

import numpy as np
import pytest
from matplotlib import pyplot

import keras_ff
from keras_ff import measurements, visualization
from keras_ff.layers import FFDense
from keras_ff.visualization import images, style
from tests.helpers.pictures import HISTORY, rendered


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
    return [rendered(figure) for figure in every_picture(model, x, y)]


@pytest.mark.slow
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


@pytest.mark.slow
def test_every_picture_has_a_title_and_labels(pictures):
    for figure in pictures:
        titles = [figure.get_suptitle(), *[axes.get_title() for axes in figure.axes]]
        assert any(titles)
        texts = [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())]
        ticks = [axes.get_yticklabels() for axes in figure.axes]
        assert any(texts) or any(ticks) or all(axes.images for axes in figure.axes)


@pytest.mark.slow
def test_pictures_leave_no_open_figures_behind(two_classes):
    before = pyplot.get_fignums()
    visualization.learning_curves(HISTORY)
    visualization.goodness_separation(*two_classes)
    visualization.activation_functions(["relu"])
    assert pyplot.get_fignums() == before


@pytest.mark.slow
def test_pixels_and_files_show_the_same_picture():
    figure = visualization.confusion_matrix([[3, 1], [0, 2]])
    drawn_pixels = style.pixels(figure, dpi=60)
    assert drawn_pixels.dtype == np.uint8 and drawn_pixels.shape[-1] == 3
    read = pyplot.imread(io.BytesIO(style.png(figure, dpi=60)))[..., :3]
    np.testing.assert_allclose(read, drawn_pixels / 255, atol=2 / 255)


@pytest.mark.parametrize("shape, seen", [((8, 8), True), ((8, 8, 3), True), ((8, 8, 2), False)])
def test_which_samples_can_be_seen(shape, seen):
    assert images.can_be_seen(shape) is seen
