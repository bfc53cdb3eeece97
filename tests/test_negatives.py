"""Negatives: never the true label, uniform, drawn anew, reproducible."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import negatives
from keras_ff.negatives import RandomLabels

COUNTS = [(2, 1), (3, 1), (3, 2), (10, 1), (10, 3), (10, 9), (100, 1), (100, 5)]


def drawn(source, y, classes, **arguments):
    """Wrong labels as (batch, count)."""
    wrong = source.labels(y, classes, **arguments)
    assert keras.backend.standardize_dtype(wrong.dtype) == "int32"
    return np.array(wrong).reshape(len(y), -1)


def chi_square(counts):
    """Distance from equal counts; its expectation is the number of cells less one."""
    counts = np.asarray(counts, "float64")
    return np.sum((counts - counts.mean()) ** 2) / counts.mean()


@pytest.mark.parametrize(("classes", "count"), COUNTS)
def test_never_the_true_label_and_never_one_twice(classes, count):
    y = np.arange(400) % classes
    source = RandomLabels(count=count, seed=1)
    for _ in range(5):
        wrong = drawn(source, y, classes)
        assert wrong.shape == (400, count)
        assert wrong.min() >= 0
        assert wrong.max() < classes
        assert not np.any(wrong == y[:, None])
        assert all(len(set(row)) == count for row in wrong)


def test_shape():
    y = np.array([0, 1, 2])
    assert tuple(RandomLabels().labels(y, 4).shape) == (3,)
    assert tuple(RandomLabels(count=2).labels(y, 4).shape) == (3, 2)


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("true", [0, 3, 9])
def test_uniform_over_the_wrong_labels(true, seed):
    wrong = drawn(RandomLabels(seed=seed), np.full(9000, true), 10)
    counts = np.bincount(wrong[:, 0], minlength=10)
    assert counts[true] == 0
    assert chi_square(np.delete(counts, true)) < 26.1  # one in a thousand is above, 8 degrees


@pytest.mark.parametrize("seed", [3, 4])
def test_ordered_pairs_are_uniform(seed):
    wrong = drawn(RandomLabels(count=2, seed=seed), np.full(6000, 1), 4)
    counts = np.bincount(4 * wrong[:, 0] + wrong[:, 1], minlength=16)
    assert np.count_nonzero(counts) == 6
    assert chi_square(counts[counts > 0]) < 20.5  # one in a thousand, 5 degrees


def test_as_many_as_there_are_gives_all_wrong_labels():
    y = np.arange(20) % 5
    wrong = drawn(RandomLabels(count=4), y, 5)
    for row, true in zip(wrong, y, strict=True):
        assert sorted(row) == [label for label in range(5) if label != true]


def test_with_two_classes_it_is_the_other_one():
    y = np.array([0, 1, 1, 0])
    np.testing.assert_array_equal(drawn(RandomLabels(), y, 2)[:, 0], 1 - y)


def test_samples_are_drawn_independently():
    """Not one offset for the whole batch, nor a permutation of the batch's labels."""
    wrong = drawn(RandomLabels(seed=1), np.zeros(300, "int32"), 10)[:, 0]
    assert set(wrong) == set(range(1, 10))


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32"])
def test_labels_of_any_number_type(dtype):
    y = (np.arange(300) % 10).astype(dtype)
    wrong = drawn(RandomLabels(seed=5), y, 10)
    assert not np.any(wrong[:, 0] == y)
    np.testing.assert_array_equal(wrong, drawn(RandomLabels(seed=5), y.astype("int32"), 10))


# --- the generator -----------------------------------------------------------------------------


def differing(first, second):
    return np.mean(np.asarray(first) != np.asarray(second))


@pytest.mark.parametrize("seed", [None, 7])
def test_drawn_anew_at_every_call(seed):
    y = np.zeros(500, "int32")
    source = RandomLabels(seed=seed)
    draws = [drawn(source, y, 10) for _ in range(4)]
    for earlier, later in itertools.pairwise(draws):
        assert differing(earlier, later) > 0.8  # 8 of 9 expected


def test_drawn_anew_within_a_graph():
    source = RandomLabels(seed=7)
    y = tf.zeros(500, "int32")
    graph = tf.function(lambda: source.labels(y, 10))
    assert differing(graph(), graph()) > 0.8


def test_a_seed_fixes_the_sequence():
    y = np.zeros(200, "int32")
    one, other, different = RandomLabels(seed=7), RandomLabels(seed=7), RandomLabels(seed=8)
    for _ in range(3):
        same = drawn(one, y, 10)
        np.testing.assert_array_equal(same, drawn(other, y, 10))
        assert differing(same, drawn(different, y, 10)) > 0.8


def test_without_a_seed_kerass_own_decides():
    y = np.zeros(200, "int32")
    draws = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        draws.append(drawn(RandomLabels(), y, 10))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert differing(draws[0], draws[2]) > 0.8


def test_a_seed_of_the_call_leaves_the_generator_alone():
    y = np.zeros(200, "int32")
    source, untouched = RandomLabels(seed=7), RandomLabels(seed=7)
    before = convert_to_numpy(source.generator.state)
    first, again, other = (drawn(source, y, 10, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert differing(first, other) > 0.8
    np.testing.assert_array_equal(convert_to_numpy(source.generator.state), before)
    np.testing.assert_array_equal(drawn(source, y, 10), drawn(untouched, y, 10))
    assert np.any(convert_to_numpy(source.generator.state) != before)


def test_the_generator_is_state_that_a_model_can_find():
    source = RandomLabels(seed=7)
    assert any(variable is source.generator.state for variable in source.variables)
    assert source.built


# --- configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", negatives.KNOWN)
def test_get(name):
    source = negatives.get(name)
    assert type(source) is negatives.KNOWN[name]
    assert negatives.get(source) is source


@pytest.mark.parametrize("name", negatives.KNOWN)
def test_round_trip(name):
    source = negatives.KNOWN[name](seed=11, name="source")
    serialised = keras.saving.serialize_keras_object(source)
    y = np.arange(40) % 10
    expected = drawn(source, y, 10)
    for copy in (
        type(source).from_config(source.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        negatives.get(serialised),
    ):
        assert type(copy) is type(source)
        assert copy.get_config() == source.get_config()
        assert (copy.count, copy.seed, copy.name) == (source.count, 11, "source")
        np.testing.assert_array_equal(drawn(copy, y, 10), expected)


def test_round_trip_of_a_count():
    copy = negatives.get(keras.saving.serialize_keras_object(RandomLabels(count=3, seed=11)))
    y = np.arange(40) % 10
    np.testing.assert_array_equal(drawn(copy, y, 10), drawn(RandomLabels(count=3, seed=11), y, 10))


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_all_labels_are_each_wrong_one_once(classes):
    y = np.arange(classes).repeat(2)
    wrong = np.array(negatives.AllLabels().labels(y, classes)).reshape(len(y), -1)
    assert wrong.shape == (2 * classes, classes - 1)
    for label, row in zip(y, wrong, strict=True):
        assert sorted([label, *row]) == list(range(classes))


def test_a_model_learns_with_all_labels():
    x = np.eye(4, dtype="float32").repeat(8, axis=0)
    y = np.arange(4).repeat(8)
    model = keras_ff.FFModel(
        [keras_ff.layers.FFDense(16)], 4, negatives="all_labels", layer_schedule="simultaneous"
    )
    model.compile(keras.optimizers.Adam(0.01), loss="label_softmax", metrics=["accuracy"])
    assert model.streams(x[:2], y[:2])[0].shape == (8, 8)
    model.fit(x, y, epochs=30, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] == 1.0
