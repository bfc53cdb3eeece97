"""Label negatives: never the true label, from the right distribution, anew or kept, reproducible.

Image negatives are tested in test_image_negatives.py, adversarial ones in test_adversarial.py.
"""

import functools
import itertools

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import negatives
from keras_ff.negatives import FixedLabels, HardLabels, RandomLabels
from tests.helpers import drawn
from tests.helpers.either_backend import KINDS_OF_GRAPHS, in_graph

LABEL_NEGATIVES = [name for name, kind in negatives.KNOWN.items() if not kind.are_images]
COUNTS = [(2, 1), (3, 1), (3, 2), (10, 1), (10, 3), (10, 9), (100, 1), (100, 5)]


def wrong_labels(source, y, classes, **arguments):
    """Wrong labels as (batch, count)."""
    wrong = source.labels(y, classes, **arguments)
    assert keras.backend.standardize_dtype(wrong.dtype) == "int32"
    return np.array(wrong).reshape(len(y), -1)


normal = functools.partial(drawn, seed=0)


def chi_square(counts):
    """Distance from equal counts; its expectation is the number of cells less one."""
    counts = np.asarray(counts, "float64")
    return np.sum((counts - counts.mean()) ** 2) / counts.mean()


@pytest.mark.parametrize(("classes", "count"), COUNTS)
def test_never_the_true_label_and_never_one_twice(classes, count):
    y = np.arange(400) % classes
    source = RandomLabels(count=count, seed=1)
    for _ in range(5):
        wrong = wrong_labels(source, y, classes)
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
    wrong = wrong_labels(RandomLabels(seed=seed), np.full(9000, true), 10)
    counts = np.bincount(wrong[:, 0], minlength=10)
    assert counts[true] == 0
    assert chi_square(np.delete(counts, true)) < 26.1  # one in a thousand is above, 8 degrees


@pytest.mark.parametrize("seed", [3, 4])
def test_ordered_pairs_are_uniform(seed):
    wrong = wrong_labels(RandomLabels(count=2, seed=seed), np.full(6000, 1), 4)
    counts = np.bincount(4 * wrong[:, 0] + wrong[:, 1], minlength=16)
    assert np.count_nonzero(counts) == 6
    assert chi_square(counts[counts > 0]) < 20.5  # one in a thousand, 5 degrees


def test_as_many_as_there_are_gives_all_wrong_labels():
    y = np.arange(20) % 5
    wrong = wrong_labels(RandomLabels(count=4), y, 5)
    for row, true in zip(wrong, y, strict=True):
        assert sorted(row) == [label for label in range(5) if label != true]


def test_with_two_classes_it_is_the_other_one():
    y = np.array([0, 1, 1, 0])
    np.testing.assert_array_equal(wrong_labels(RandomLabels(), y, 2)[:, 0], 1 - y)


def test_samples_are_drawn_independently():
    """Not one offset for the whole batch, nor a permutation of the batch's labels."""
    wrong = wrong_labels(RandomLabels(seed=1), np.zeros(300, "int32"), 10)[:, 0]
    assert set(wrong) == set(range(1, 10))


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "float32"])
def test_labels_of_any_number_type(dtype):
    y = (np.arange(300) % 10).astype(dtype)
    wrong = wrong_labels(RandomLabels(seed=5), y, 10)
    assert not np.any(wrong[:, 0] == y)
    np.testing.assert_array_equal(wrong, wrong_labels(RandomLabels(seed=5), y.astype("int32"), 10))


# --- the generator -----------------------------------------------------------------------------


def differing(first, second):
    return np.mean(np.asarray(first) != np.asarray(second))


@pytest.mark.parametrize("seed", [None, 7])
def test_drawn_anew_at_every_call(seed):
    y = np.zeros(500, "int32")
    source = RandomLabels(seed=seed)
    draws = [wrong_labels(source, y, 10) for _ in range(4)]
    for earlier, later in itertools.pairwise(draws):
        assert differing(earlier, later) > 0.8  # 8 of 9 expected


def test_drawn_anew_within_a_graph():
    source = RandomLabels(seed=7)
    y = np.zeros(500, "int32")
    graph = in_graph(lambda: source.labels(y, 10), layer=source)
    assert differing(graph(), graph()) > 0.8


def test_a_seed_fixes_the_sequence():
    y = np.zeros(200, "int32")
    one, other, different = RandomLabels(seed=7), RandomLabels(seed=7), RandomLabels(seed=8)
    for _ in range(3):
        same = wrong_labels(one, y, 10)
        np.testing.assert_array_equal(same, wrong_labels(other, y, 10))
        assert differing(same, wrong_labels(different, y, 10)) > 0.8


def test_without_a_seed_kerass_own_decides():
    y = np.zeros(200, "int32")
    draws = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        draws.append(wrong_labels(RandomLabels(), y, 10))
    np.testing.assert_array_equal(draws[0], draws[1])
    assert differing(draws[0], draws[2]) > 0.8


def test_a_seed_of_the_call_leaves_the_generator_alone():
    y = np.zeros(200, "int32")
    source, untouched = RandomLabels(seed=7), RandomLabels(seed=7)
    before = convert_to_numpy(source.generator.state)
    first, again, other = (wrong_labels(source, y, 10, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert differing(first, other) > 0.8
    np.testing.assert_array_equal(convert_to_numpy(source.generator.state), before)
    np.testing.assert_array_equal(wrong_labels(source, y, 10), wrong_labels(untouched, y, 10))
    assert np.any(convert_to_numpy(source.generator.state) != before)


def test_the_generator_is_state_that_a_model_can_find():
    source = RandomLabels(seed=7)
    assert any(variable is source.generator.state for variable in source.variables)
    assert source.built


# --- fixed labels ------------------------------------------------------------------------------

# Samples that a careless hash confuses: few values, few samples apart in few bits, permutations.
SAMPLES = {
    "normal": normal((9000, 12)),
    "binary": np.array(list(itertools.product([0, 1], repeat=13)), "float32"),
    "one_pixel": np.eye(5000, 70, k=-3, dtype="float32") + np.arange(5000)[:, None],
    "nearly_one": 1 + 2.0**-20 * np.arange(5000, dtype="float32")[:, None],
    "permutations": np.array(list(itertools.permutations(range(7))), "float32"),
}


@pytest.mark.parametrize("seed", [0, 5])
@pytest.mark.parametrize("name", SAMPLES)
def test_fixed_labels_are_uniform_and_independent(name, seed):
    x = np.unique(SAMPLES[name].astype("float32"), axis=0)
    assert len(x) >= 5000
    wrong = wrong_labels(FixedLabels(count=2, seed=seed), np.full(len(x), 3), 6, x=x)
    assert not np.any(wrong == 3)
    single = np.bincount(wrong[:, 0], minlength=6)
    pairs = np.bincount(6 * wrong[:, 0] + wrong[:, 1], minlength=36)
    followers = np.bincount(6 * wrong[:-1, 0] + wrong[1:, 0], minlength=36)
    assert [np.count_nonzero(counts) for counts in (single, pairs, followers)] == [5, 20, 25]
    # One in ten thousand is above; 4, 19 and 24 degrees of freedom.
    assert chi_square(single[single > 0]) < 23.6
    assert chi_square(pairs[pairs > 0]) < 50.8
    assert chi_square(followers[followers > 0]) < 58.7


def test_a_fixed_label_depends_on_the_sample_alone():
    x, y = normal((60, 4, 3, 2)), np.arange(60) % 10
    source = FixedLabels(seed=3)
    whole = wrong_labels(source, y, 10, x=x)
    order = np.random.default_rng(0).permutation(60)
    np.testing.assert_array_equal(wrong_labels(source, y[order], 10, x=x[order]), whole[order])
    for size in (1, 7):
        np.testing.assert_array_equal(wrong_labels(source, y[:size], 10, x=x[:size]), whole[:size])
    assert differing(whole, wrong_labels(FixedLabels(seed=4), y, 10, x=x)) > 0.7  # 8 of 9 expected


def test_fixed_labels_are_fixed_whatever_the_seed_of_the_call():
    x, y = normal((60, 5)), np.arange(60) % 10
    source = FixedLabels(seed=3)
    state = convert_to_numpy(source.generator.state)
    draws = [wrong_labels(source, y, 10, x=x, seed=seed) for seed in (None, 0, 1, None)]
    for draw in draws[1:]:
        np.testing.assert_array_equal(draw, draws[0])
    np.testing.assert_array_equal(convert_to_numpy(source.generator.state), state)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", KINDS_OF_GRAPHS)
def test_fixed_labels_within_a_graph_of_any_batch_size(compiled):
    x, y = normal((60, 5)), np.arange(60) % 10
    source = FixedLabels(seed=2)
    graph = in_graph(
        lambda x, y: source.labels(y, 10, x=x),
        ((None, 5), "float32"),
        ((None,), "int64"),
        jit_compile=compiled,
    )
    expected = wrong_labels(source, y, 10, x=x)[:, 0]
    np.testing.assert_array_equal(graph(x, y), expected)
    np.testing.assert_array_equal(graph(x[:11], y[:11]), expected[:11])


def test_fixed_labels_without_a_seed_are_saved_with_the_one_drawn():
    x, y = normal((90, 5)), np.arange(90) % 10
    source, other = FixedLabels(), FixedLabels()
    assert isinstance(source.get_config()["seed"], int)
    copy = negatives.get(keras.saving.serialize_keras_object(source))
    np.testing.assert_array_equal(wrong_labels(copy, y, 10, x=x), wrong_labels(source, y, 10, x=x))
    assert differing(wrong_labels(source, y, 10, x=x), wrong_labels(other, y, 10, x=x)) > 0.7


@pytest.mark.parametrize("seed", [-1, 2**31, 2**40 + 1])
def test_fixed_labels_of_any_seed(seed):
    x = normal((400, 5))
    wrong = wrong_labels(FixedLabels(seed=seed), np.zeros(400, "int32"), 4, x=x)
    assert set(wrong[:, 0]) == {1, 2, 3}


def test_fixed_labels_need_the_samples():
    with pytest.raises(ValueError, match=r"x=x.*Received: x=None"):
        FixedLabels().labels(np.array([0, 1]), 3)


# --- hard labels -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [3, 4])
def test_hard_labels_follow_the_softmax_without_the_true_class(seed):
    scores = np.array([1.0, 3.0, 0.0, 2.0, -1.0])
    probabilities = np.exp(scores) * (np.arange(5) != 1)
    probabilities /= probabilities.sum()
    n = 20000
    wrong = wrong_labels(HardLabels(seed=seed), np.full(n, 1), 5, scores=np.tile(scores, (n, 1)))
    counts = np.bincount(wrong[:, 0], minlength=5)
    assert counts[1] == 0
    expected = n * np.delete(probabilities, 1)
    distance = np.sum((np.delete(counts, 1) - expected) ** 2 / expected)
    assert distance < 16.3  # one in a thousand is above, 3 degrees


def test_several_hard_labels_are_drawn_without_replacement():
    scores = np.array([0.0, 1.5, 0.5, 9.0])
    weights, n = np.exp(scores[:3]), 20000
    wrong = wrong_labels(
        HardLabels(count=2, seed=1), np.full(n, 3), 4, scores=np.tile(scores, (n, 1))
    )
    distance = 0.0
    for first, second in itertools.permutations(range(3), 2):
        share = weights[first] / weights.sum() * weights[second] / (weights.sum() - weights[first])
        count = np.sum((wrong[:, 0] == first) & (wrong[:, 1] == second))
        distance += (count - n * share) ** 2 / (n * share)
    assert distance < 20.5  # one in a thousand is above, 5 degrees


@pytest.mark.parametrize("count", [1, 4])
def test_hard_labels_of_a_sure_network(count):
    """However sure it is, of the true class or of a wrong one."""
    y = np.arange(600) % 5
    for likely in (y, (y + 2) % 5):
        scores = 1e4 * np.eye(5, dtype="float32")[likely]
        wrong = wrong_labels(HardLabels(count=count, seed=1), y, 5, scores=scores)
        assert not np.any(wrong == y[:, None])
        assert all(len(set(row)) == count for row in wrong)
    np.testing.assert_array_equal(wrong[:, 0], likely)


def test_hard_labels_of_bfloat16_scores():
    y, scores = np.arange(300) % 10, keras.ops.cast(normal((300, 10)), "bfloat16")
    expected = wrong_labels(HardLabels(seed=1), y, 10, scores=keras.ops.cast(scores, "float32"))
    np.testing.assert_array_equal(wrong_labels(HardLabels(seed=1), y, 10, scores=scores), expected)


def test_hard_labels_drawn_anew_and_from_a_seed():
    y, scores = np.zeros(500, "int32"), np.zeros((500, 10))
    source = HardLabels(seed=7)
    assert source.needs_scores
    assert differing(*(wrong_labels(source, y, 10, scores=scores) for _ in range(2))) > 0.8
    state = convert_to_numpy(source.generator.state)
    first, again, other = (
        wrong_labels(source, y, 10, seed=seed, scores=scores) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert differing(first, other) > 0.8
    np.testing.assert_array_equal(convert_to_numpy(source.generator.state), state)


@pytest.mark.parametrize("scores", [None, np.zeros((2, 4)), np.zeros(2)])
def test_hard_labels_need_scores_of_every_class(scores):
    with pytest.raises(ValueError, match=r"readout='softmax'.*Received: scores="):
        HardLabels().labels(np.array([0, 1]), 3, scores=scores)


@pytest.mark.parametrize("name", LABEL_NEGATIVES)
def test_what_a_source_does_not_need_changes_nothing(name):
    y, x, scores = np.arange(40) % 10, normal((40, 3)), normal((40, 10))
    needed = {"fixed_labels": {"x": x}, "hard_labels": {"scores": scores}}.get(name, {})
    make = negatives.KNOWN[name]
    np.testing.assert_array_equal(
        wrong_labels(make(seed=1), y, 10, **needed),
        wrong_labels(make(seed=1), y, 10, x=x, scores=scores),
    )


@pytest.mark.parametrize("source", [FixedLabels, HardLabels, RandomLabels])
def test_more_labels_than_there_are_wrong_ones(source):
    y, given = np.array([0, 1]), {"x": normal((2, 3)), "scores": normal((2, 3))}
    with pytest.raises(ValueError, match="Received: count=3"):
        source(count=3).labels(y, 3, **given)


# --- configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", negatives.KNOWN)
def test_get(name):
    source = negatives.get(name)
    assert type(source) is negatives.KNOWN[name]
    assert negatives.get(source) is source


@pytest.mark.parametrize("name", LABEL_NEGATIVES)
def test_round_trip(name):
    source = negatives.KNOWN[name](seed=11, name="source")
    serialised = keras.saving.serialize_keras_object(source)
    y = np.arange(40) % 10
    looked_at = {"x": normal((40, 6)), "scores": normal((40, 10))}
    expected = wrong_labels(source, y, 10, **looked_at)
    for copy in (
        type(source).from_config(source.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        negatives.get(serialised),
    ):
        assert type(copy) is type(source)
        assert copy.get_config() == source.get_config()
        assert (copy.count, copy.seed, copy.name) == (source.count, 11, "source")
        np.testing.assert_array_equal(wrong_labels(copy, y, 10, **looked_at), expected)


def test_round_trip_of_a_count():
    copy = negatives.get(keras.saving.serialize_keras_object(RandomLabels(count=3, seed=11)))
    y = np.arange(40) % 10
    np.testing.assert_array_equal(
        wrong_labels(copy, y, 10), wrong_labels(RandomLabels(count=3, seed=11), y, 10)
    )


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_all_labels_are_each_wrong_one_once(classes):
    y = np.arange(classes).repeat(2)
    wrong = np.array(negatives.AllLabels().labels(y, classes)).reshape(len(y), -1)
    assert wrong.shape == (2 * classes, classes - 1)
    for label, row in zip(y, wrong, strict=True):
        assert sorted([label, *row]) == list(range(classes))


@pytest.mark.slow
def test_a_model_learns_with_all_labels():
    x = np.eye(4, dtype="float32").repeat(8, axis=0)
    y = np.arange(4).repeat(8)
    model = keras_ff.FFModel(
        [keras_ff.layers.FFDense(16)], 4, negatives="all_labels", layer_schedule="simultaneous"
    )
    model.compile(keras.optimizers.Adam(0.01), loss="label_softmax", metrics=["accuracy"])
    streams = model.streams(x[:2], y[:2])
    assert streams.embedded(model.label_embedding, 4).shape == (8, 8)
    model.fit(x, y, epochs=30, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] == 1.0
