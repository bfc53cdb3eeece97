"""Adversarial negatives: the gradient by an input, and the steps up the first layer's goodness."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_ff
from keras_ff import backends, negatives
from keras_ff.negatives import Adversarial
from tests.helpers.either_backend import KINDS_OF_GRAPHS, in_graph, value_and_gradients

SIZES = np.array([[1], [1], [5], [0.1], [1]])
X = (SIZES * np.random.default_rng(0).normal(size=(5, 4))).astype("float32")
WEIGHTS = 0.2 * np.random.default_rng(1).normal(size=(4, 3))


def goodness(x):
    """Mean square of tanh(x W)."""
    return ops.mean(ops.square(ops.tanh(ops.matmul(x, WEIGHTS.astype("float32")))), axis=1)


def gradient(x):
    """The same goodness's gradient, in float64."""
    activities = np.tanh(x @ WEIGHTS)
    return (2 / 3 * activities * (1 - activities**2)) @ WEIGHTS.T


# --- the gradient by an input -------------------------------------------------------------------


def test_input_gradient():
    found = backends.input_gradient(goodness, ops.convert_to_tensor(X))
    np.testing.assert_allclose(found, gradient(X.astype("float64")), rtol=1e-4, atol=1e-6)


def test_input_gradient_of_what_the_input_has_no_part_in():
    found = backends.input_gradient(lambda x: ops.ones(2), ops.convert_to_tensor(X))
    np.testing.assert_array_equal(found, np.zeros_like(X))


def test_input_gradient_within_a_graph_of_any_batch_size():
    graph = in_graph(lambda x: backends.input_gradient(goodness, x), ((None, 4), "float32"))
    for size in (1, 5):
        np.testing.assert_allclose(graph(X[:size]), gradient(X[:size]), rtol=1e-4, atol=1e-6)


# --- the steps ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "step_size", "limit"), [(1, 0.02, 0.05), (3, 0.02, 0.05), (6, 0.3, 1.0)]
)
def test_adjust(steps, step_size, limit):
    source = Adversarial(steps=steps, step_size=step_size, limit=limit)
    expected = start = X.astype("float64")
    unit = np.sqrt(np.mean(start**2, axis=1, keepdims=True))
    for _ in range(steps):
        expected = expected + step_size * unit * np.sign(gradient(expected))
        expected = np.clip(expected, start - limit * unit, start + limit * unit)
    found = np.array(source.adjust(X, goodness))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.all(np.array(goodness(found) > goodness(X)))


def test_a_sample_moves_by_itself():
    """Neither the batch nor another sample's size matters."""
    whole = np.array(Adversarial().adjust(X, goodness))
    for row in range(len(X)):
        alone = Adversarial().adjust(X[row : row + 1], goodness)
        np.testing.assert_allclose(alone[0], whole[row], rtol=1e-6)


def test_images_are_adjusted_too():
    x = np.random.default_rng(2).normal(size=(3, 4, 4, 2)).astype("float32")
    moved = Adversarial(steps=9, limit=0.05).adjust(x, lambda x: ops.sum(x**2, axis=(1, 2, 3)))
    unit = np.sqrt(np.mean(x**2, axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(moved, x + 0.05 * unit * np.sign(x), rtol=1e-5)


def test_a_blank_sample_does_not_become_nan():
    moved = Adversarial().adjust(np.zeros((2, 4), "float32"), lambda x: ops.sum(x, axis=1))
    np.testing.assert_allclose(moved, np.full((2, 4), 0.05e-3), rtol=1e-6)


def test_what_is_adjusted_is_detached():
    _, gradients = value_and_gradients(lambda x: Adversarial().adjust(x, goodness), X)
    assert gradients == [None]


def test_bfloat16_samples_are_moved_in_float32():
    x = ops.cast(X, "bfloat16")
    expected = Adversarial().adjust(ops.cast(x, "float32"), goodness)
    moved = Adversarial().adjust(x, goodness)
    assert keras.backend.standardize_dtype(moved.dtype) == "float32"
    np.testing.assert_array_equal(moved, expected)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", KINDS_OF_GRAPHS)
def test_within_a_graph_of_any_batch_size(compiled):
    source = Adversarial()
    graph = in_graph(
        lambda x: source.adjust(x, goodness), ((None, 4), "float32"), jit_compile=compiled
    )
    for size in (1, 5):
        expected = source.adjust(X[:size], goodness)
        np.testing.assert_allclose(graph(X[:size]), expected, rtol=1e-5)


def test_the_goodness_of_an_ff_layer_rises_and_its_weights_stay():
    layer = keras_ff.layers.FFDense(8, activation="tanh")
    layer.build((None, 4))
    before = [np.array(weight) for weight in layer.variables]
    moved = Adversarial().adjust(X, lambda x: layer.goodness(layer(x)))
    assert np.all(np.array(layer.goodness(layer(moved))) > np.array(layer.goodness(layer(X))))
    for weight, value in zip(layer.variables, before, strict=True):
        np.testing.assert_array_equal(weight, value)


# --- labels and configuration -------------------------------------------------------------------


def test_labels_are_those_of_random_labels():
    y = np.arange(50) % 10
    expected = negatives.RandomLabels(seed=4).labels(y, 10)
    np.testing.assert_array_equal(Adversarial(seed=4).labels(y, 10), expected)


def test_a_model_can_tell():
    assert [name for name, kind in negatives.KNOWN.items() if kind.adjusts] == ["adversarial"]
    assert not Adversarial.needs_scores and not Adversarial.are_images


def test_round_trip():
    source = Adversarial(steps=2, step_size=0.1, limit=0.2, seed=4)
    copy = negatives.get(keras.saving.serialize_keras_object(source))
    assert copy.get_config() == source.get_config()
    assert (copy.steps, copy.step_size, copy.limit, copy.seed) == (2, 0.1, 0.2, 4)


def test_one_negative_a_sample():
    assert tuple(Adversarial().labels(np.array([0, 1]), 5).shape) == (2,)
    with pytest.raises(TypeError, match="count"):
        Adversarial(count=2)


@pytest.mark.parametrize(
    ("name", "bad"), [("steps", 0), ("steps", 1.5), ("step_size", 0), ("limit", -0.1)]
)
def test_arguments_out_of_range(name, bad):
    with pytest.raises(ValueError, match=f"Received: {name}={bad}"):
        Adversarial(**{name: bad})
