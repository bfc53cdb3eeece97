"""The goodness readout: scores against passes made by hand."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import readouts
from keras_ff.layers import FFDense
from tests.helpers import mostly_slow
from tests.helpers.readouts import CLASSES, FEATURES, activities_by_hand, model_with, samples


def goodness_by_hand(model, x):
    """Goodness (layers, batch, classes): one pass a class, one after the other."""
    passes = []
    for label in range(model.num_classes):
        activities = activities_by_hand(model, x, np.eye(model.num_classes)[[label] * len(x)])
        passes.append([(rows**2).mean(axis=1) for rows in activities])
    return np.transpose(passes, (1, 2, 0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "counted"),
    [
        ("all", [0, 1, 2]),
        (None, [0, 1, 2]),
        ([0], [0]),
        ([2], [2]),
        ([-1], [2]),
        ([1, 2], [1, 2]),
        ((-3, 1), [0, 1]),
        ([1, 1, -2], [1]),
    ],
    ids=str,
)
def test_scores_are_goodness_pass_by_pass(layers, counted):
    model = model_with(readouts.Goodness(layers=layers))
    x, _ = samples()
    scores = model(x)
    assert tuple(scores.shape) == (8, CLASSES)
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    expected = goodness_by_hand(model, x)[counted].sum(axis=0)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    np.testing.assert_allclose(model.predict(x, batch_size=3, verbose=0), expected, rtol=1e-4)


def test_scores_are_those_of_the_layers_passes_through_the_model():
    """The same, with the model's own embedding and layers, image by image and class by class."""
    model = keras_ff.FFModel(
        [
            keras_ff.layers.FFLayer(
                keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
                goodness=keras_ff.goodness.SumOfSquares(scale=0.5),
            ),
            FFDense(5),
        ],
        10,
        label_embedding="overlay",
    )
    x = np.random.default_rng(2).normal(size=(4, 6, 7, 2)).astype("float32")
    expected = np.zeros((4, 10))
    for row in range(4):
        for label in range(10):
            passed = model.label_embedding(x[row : row + 1], np.array([label]), 10)
            for layer in model.ff_layers:
                passed = layer(passed)
                expected[row, label] += float(layer.goodness(passed)[0])
    np.testing.assert_allclose(model(x), expected, rtol=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_any_number_of_classes(classes):
    model = keras_ff.FFModel([FFDense(6)], classes)
    x, _ = samples()
    model.build((None, FEATURES))
    scores = np.array(model(x))
    assert scores.shape == (8, classes)
    np.testing.assert_allclose(scores, goodness_by_hand(model, x).sum(axis=0), rtol=1e-4)


@pytest.mark.slow
@mostly_slow(
    ("layers", "trained", "counted"),
    [
        ("all", 0, [0, 1, 2]),  # nothing trained: all the same
        ("all", 1, [0]),
        ("all", 2, [0, 1]),
        ("all", 3, [0, 1, 2]),
        ([1, 2], 2, [1]),
        ([1, 2], 3, [1, 2]),
        ([2], 1, [0]),  # none of the chosen is trained: those that are
        ([2], 2, [0, 1]),
        ([2], 0, [2]),
    ],
    quick=(0, 2, 4, 6, 8),
    ids=str,
)
def test_untrained_layers_are_left_out(layers, trained, counted):
    model = model_with(readouts.Goodness(layers=layers))
    x, _ = samples()
    model(x)
    model.layers_trained.assign(trained)
    expected = goodness_by_hand(model, x)[counted].sum(axis=0)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4)


@pytest.mark.slow
def test_under_greedy_scores_count_the_layers_that_have_learned():
    model = model_with("goodness", layer_schedule="greedy")
    x, y = samples()
    counts = []

    def look(epoch, logs):
        goodness = goodness_by_hand(model, x)
        scores = np.array(model(x))
        counts.append(
            [
                layers
                for layers in (1, 2, 3)
                if np.allclose(scores, goodness[:layers].sum(axis=0), rtol=1e-4)
            ]
        )

    callback = keras.callbacks.LambdaCallback(on_epoch_end=look)
    model.fit(x, y, epochs=4, verbose=0, callbacks=[callback])
    assert counts == [[1], [1], [2], [3]]


def test_scores_do_not_depend_on_the_rest_of_the_batch():
    model = model_with("goodness")
    x, _ = samples()
    other = x.copy()
    other[1:] = 100.0
    np.testing.assert_allclose(model(x)[0], model(other)[0], rtol=1e-6)
    np.testing.assert_allclose(model(x)[0], model(x[:1])[0], rtol=1e-6)
