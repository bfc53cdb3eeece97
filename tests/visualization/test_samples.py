"""Sheets of samples."""

import numpy as np
import pytest

import keras_ff
from keras_ff import visualization
from keras_ff.layers import FFDense
from tests.helpers.pictures import built, rendered


def sheet_of(model, x, y=None, **arguments):
    figure = rendered(visualization.samples(model, x, y, **arguments))
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
