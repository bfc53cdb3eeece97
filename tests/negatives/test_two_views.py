"""TwoViews: each view augmented by itself, without labels."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff.negatives import TwoViews
from tests.helpers.either_backend import in_graph

NOISY = {"augmentation": keras.layers.GaussianNoise(0.5)}


def samples(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def numbered(batch, *shape):
    """Samples whose pixels all hold the sample's number, and the channel's as tenths."""
    x = np.zeros((batch, *shape), "float32") + np.arange(batch).reshape(-1, *[1] * len(shape))
    return x + 0.1 * np.arange(shape[-1], dtype="float32") if len(shape) == 3 else x


def differing(first, second):
    return np.mean(np.asarray(first) != np.asarray(second))


@pytest.mark.parametrize("shape", [(3,), (4, 4), (4, 4, 2)])
def test_two_views_without_augmentation(shape):
    x = samples(7, *shape)
    source = TwoViews(count=2, seed=1)
    twice = np.concatenate([x, x], axis=-1)
    np.testing.assert_array_equal(source.positives(x), twice)
    np.testing.assert_array_equal(source.neutral(x), twice)
    left, right = np.split(np.array(source.images(x)), 2, axis=-1)
    np.testing.assert_array_equal(left, np.concatenate([x, x]))
    for stream in np.split(right, 2):
        distance = [[np.abs(one - other).max() for other in x] for one in stream]
        partner = np.argmin(distance, axis=1)
        np.testing.assert_array_equal(stream, x[partner])
        assert sorted(partner) == list(range(7))
        assert not np.any(partner == np.arange(7))


def test_every_view_is_augmented_by_itself():
    x = numbered(200, 2, 2, 1)
    source = TwoViews(**NOISY, seed=1)
    np.testing.assert_array_equal(source.neutral(x), np.concatenate([x, x], axis=-1))
    left, right = np.split(np.array(source.positives(x)) - np.concatenate([x, x], axis=-1), 2, -1)
    assert 0.4 < left.std() < 0.6 and 0.4 < right.std() < 0.6
    assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.15
    first, other = np.split(np.array(source.images(x)), 2, axis=-1)
    assert 0.4 < (first - x).std() < 0.6
    away = other - np.rint(other.mean(axis=(1, 2, 3), keepdims=True))
    assert 0.3 < away.std() < 0.6
    assert np.abs(other - x).mean() > 10


def test_a_seed_of_the_call_leaves_the_augmentation_alone():
    x = samples(30, 4, 4, 1)
    augmentation = keras.Sequential(
        [keras.layers.GaussianNoise(0.5, seed=1), keras.layers.GaussianNoise(0.5, seed=2)]
    )
    source = TwoViews(augmentation=augmentation, seed=7)
    source.images(x)
    states = [v for v in augmentation.variables if "seed_generator_state" in v.path]
    assert len(states) == 2
    before = [convert_to_numpy(state) for state in states]
    for make in (source.images, source.positives):
        first, again, other = (np.array(make(x, seed=seed)) for seed in (1, 1, 2))
        np.testing.assert_array_equal(first, again)
        assert differing(first, other) > 0.9
    left, right = np.split(np.array(source.positives(x, seed=1)), 2, axis=-1)
    assert differing(left, right) > 0.9
    for state, value in zip(states, before, strict=True):
        np.testing.assert_array_equal(state, value)
    source.positives(x)
    assert all(np.any(convert_to_numpy(s) != b) for s, b in zip(states, before, strict=True))


def test_two_layers_of_an_augmentation_draw_differently_from_one_seed():
    """Else a seed would add the same noise twice: spread 1.0, in place of 0.71."""
    layers = [keras.layers.GaussianNoise(0.5) for _ in range(2)]
    source = TwoViews(augmentation=keras.Sequential(layers))
    spread = np.array(source.positives(np.zeros((500, 8)), seed=1)).std()
    assert 0.65 < spread < 0.77


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 3])
def test_an_augmentation_of_images(seed):
    """Keras's own layers, within a graph."""
    source = TwoViews(augmentation=keras.layers.RandomTranslation(0.3, 0.3), seed=1)
    graph = in_graph(
        lambda x: (source.images(x, seed=seed), source.positives(x, seed=seed)),
        ((None, 8, 8, 1), "float32"),
        layer=source,
    )
    x = samples(10, 8, 8, 1)
    first, again = graph(x), graph(x)
    for one, other in zip(first, again, strict=True):
        assert one.shape == (10, 8, 8, 2)
        left, right = np.split(np.array(one), 2, axis=-1)
        assert differing(left, right) > 0.5
        assert (differing(one, other) > 0.5) == (seed is None)


def test_an_augmentation_that_changes_the_shape():
    source = TwoViews(augmentation=keras.layers.RandomCrop(6, 6))
    with pytest.raises(ValueError, match=r"Received: .*\(8, 8, 1\), views of shape \(6, 6, 1\)"):
        source.positives(samples(4, 8, 8, 1))


@pytest.mark.parametrize("bad", ["shift", 3, keras.layers.GaussianNoise], ids=str)
def test_an_augmentation_that_is_no_layer(bad):
    with pytest.raises(ValueError, match=r"augmentation.*Received:"):
        TwoViews(augmentation=bad)


def test_two_views_carry_no_wrong_labels():
    with pytest.raises(TypeError, match="wrong_labels"):
        TwoViews(wrong_labels=True)
