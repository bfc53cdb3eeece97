"""LabelMap: a learned extra channel."""

import json

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff import labels
from tests.helpers.either_backend import value_and_gradients
from tests.helpers.labelled import drawn_labels, in_float64, uneven


def maps_by_hand(embedding, x, y):
    """The label's channel in float64, for labels or for `None`."""
    maps = convert_to_numpy(embedding.maps).astype("float64")
    maps /= np.sqrt((maps**2).sum(axis=(1, 2), keepdims=True))
    if y is None:
        mean = maps.mean(axis=0)
        chosen = np.broadcast_to(mean / np.sqrt(np.sum(mean**2)), (len(x), *mean.shape))
    else:
        chosen = maps[y]
    length = np.sqrt(embedding.strength * np.sum(in_float64(x) ** 2, axis=(1, 2, 3)))
    return length[:, None, None] * chosen


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3)], ids=str)
def test_a_label_map_by_hand(shape):
    embedding, x, y = labels.LabelMap(strength=0.3), uneven(shape), drawn_labels(5)
    for given in (y, None):
        embedded = np.array(embedding(x, given, 5))
        np.testing.assert_array_equal(embedded[..., :-1], in_float64(x).astype("float32"))
        expected = maps_by_hand(embedding, x, given)
        np.testing.assert_allclose(embedded[..., -1], expected, rtol=1e-4, atol=1e-6)
    assert tuple(embedding.maps.shape) == (5, 4, 6)
    lengths = np.sqrt(np.sum(convert_to_numpy(embedding.maps) ** 2, axis=(1, 2)))
    assert np.all((lengths > 0.5) & (lengths < 1.6))


def test_a_maps_own_length_is_of_no_account():
    embedding, x, y = labels.LabelMap(seed=1), uneven((4, 6, 1)), drawn_labels(5)
    before = [np.array(embedding(x, given, 5)) for given in (y, None)]
    scales = np.array([0.01, 1.0, 3.0, 10.0, 100.0], "float32").reshape(5, 1, 1)
    embedding.maps.assign(embedding.maps * scales)
    for old, given in zip(before, (y, None), strict=True):
        np.testing.assert_allclose(embedding(x, given, 5), old, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("given", [[1, 1, 3], None], ids=["labels", "neutral"])
def test_a_gradient_flows_into_the_maps_that_were_shown(given):
    """The gradient along finite differences; across a map, for its length counts nothing."""
    embedding, x = labels.LabelMap(strength=0.5, seed=1), uneven((2, 3, 1), samples=3)
    x /= np.abs(x).max(axis=(1, 2), keepdims=True)
    y = None if given is None else np.array(given)
    weights = uneven((2, 3), samples=3, seed=5)
    embedding.build_for(x.shape, 4)
    _, (gradient,) = value_and_gradients(
        lambda: keras.ops.multiply(embedding(x, y, 4)[..., -1], weights), embedding.maps
    )
    gradient = gradient.astype("float64")
    maps = convert_to_numpy(embedding.maps).astype("float64")
    shown = [np.any(one != 0) for one in gradient]
    assert shown == ([True] * 4 if y is None else [False, True, False, True])
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(np.sum(gradient * maps, axis=(1, 2)), 0.0, atol=1e-5 * scale)
    for place in np.ndindex(maps.shape):
        sides = []
        for step in (1e-2, -1e-2):
            moved = maps.copy()
            moved[place] += step
            embedding.maps.assign(moved)
            sides.append(np.sum(maps_by_hand(embedding, x, y) * weights))
        slope = (sides[0] - sides[1]) / 2e-2
        assert gradient[place] == pytest.approx(slope, rel=2e-2, abs=5e-3 * scale)


def test_maps_are_made_when_built_or_called_first():
    by_hand, called = labels.LabelMap(seed=4), labels.LabelMap(seed=4)
    assert by_hand.weights == [] and not by_hand.built
    by_hand.build_for((None, 4, 6, 3), 5)
    x, y = uneven((4, 6, 3)), drawn_labels(5)
    np.testing.assert_array_equal(by_hand(x, y, 5), called(x, y, 5))
    (maps,) = by_hand.trainable_weights
    assert maps is by_hand.maps and maps.name == "maps" and by_hand.num_classes == 5
    before = convert_to_numpy(maps)
    by_hand.build_for((None, 4, 6, 3), 5)  # as a model does that is built anew
    np.testing.assert_array_equal(by_hand.maps, before)
    assert len(by_hand.weights) == 1


@pytest.mark.parametrize(("shape", "classes"), [((4, 6, 1), 6), ((6, 4, 1), 5), ((4, 7), 5)])
def test_maps_made_for_others(shape, classes):
    embedding = labels.LabelMap()
    embedding.build_for((None, 4, 6, 1), 5)
    for refused in (
        lambda: embedding.build_for((None, *shape), classes),
        lambda: embedding(np.ones((2, *shape)), None, classes),
    ):
        with pytest.raises(ValueError, match=rf"5 classes .* 4 by 6 .*Received: {classes} classes"):
            refused()


def test_maps_without_a_number_of_classes():
    with pytest.raises(ValueError, match=r"build_for.*Received: num_classes=None"):
        labels.LabelMap().build((None, 4, 6, 1))


def test_maps_are_float32_under_mixed_precision():
    exact, mixed = labels.LabelMap(seed=2), labels.LabelMap(seed=2, dtype="mixed_bfloat16")
    x, y = uneven((4, 6, 1)), drawn_labels(5)
    embedded = mixed(x, y, 5)
    assert keras.backend.standardize_dtype(mixed.maps.dtype) == "float32"
    assert keras.backend.standardize_dtype(embedded.dtype) == "float32"
    np.testing.assert_array_equal(embedded, exact(x, y, 5))


@pytest.mark.parametrize("build_first", [False, True])
def test_a_label_map_round_trip(build_first):
    embedding, x, y = labels.LabelMap(0.3, seed=7, name="maps"), uneven((6, 6)), drawn_labels(3)
    if build_first:
        embedding.build_for((None, 6, 6), 3)
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(embedding)))
    assert labels.get(embedding) is embedding
    for copy in (
        labels.LabelMap.from_config(embedding.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        labels.get(serialised),
    ):
        assert type(copy) is labels.LabelMap
        assert copy.get_config() == embedding.get_config()
        np.testing.assert_array_equal(copy(x, y, 3), embedding(x, y, 3))  # of one seed
    assert keras.saving.deserialize_keras_object(serialised).built == build_first


def test_label_maps_are_saved(tmp_path):
    class Owner(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.embedding = labels.LabelMap(0.3)

        def build(self, input_shape):
            self.embedding.build_for(input_shape, 3)

        def call(self, x):
            return self.embedding(x, None, 3)

    owner, other, x = Owner(), Owner(), uneven((6, 6, 1))
    expected = np.array(owner(x))
    owner.save_weights(tmp_path / "maps.weights.h5")
    assert np.abs(np.array(other(x)) - expected).max() > 1e-3
    other.load_weights(tmp_path / "maps.weights.h5")
    np.testing.assert_array_equal(other(x), expected)
