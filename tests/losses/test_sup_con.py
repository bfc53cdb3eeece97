"""SupCon: the formula by plain loops, its head, its temperature, its state."""

import itertools
import math

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff.losses import SupCon
from tests.helpers import drawn
from tests.helpers.either_backend import in_graph, value_and_gradients

SHAPES = [(7, 5), (6, 4, 3), (5, 3, 2, 4)]
LABELS = np.array([0, 2, 0, 1, 2, 0, 1])  # the last ones of a shorter batch may stand alone


def pooled(activities):
    """Activities averaged over positions, in float64."""
    z = np.asarray(activities, "float64")
    return z.reshape(len(z), -1, z.shape[-1]).mean(axis=1)


def by_hand(z, labels, temperature, weight=1.0):
    """The formula of Khosla et al. (2020), L_out, written out in loops."""
    z = [row / np.sqrt((row**2).sum()) if (row**2).sum() > 1e-12 else 0 * row for row in z]
    batch = range(len(z))
    terms = []
    for i in batch:
        positives = [p for p in batch if p != i and labels[p] == labels[i]]
        if not positives:
            continue
        total = sum(math.exp(z[i] @ z[a] / temperature) for a in batch if a != i)
        logs = [math.log(math.exp(z[i] @ z[p] / temperature) / total) for p in positives]
        terms.append(-sum(logs) / len(positives))
    return weight * sum(terms) / len(terms) if terms else 0.0


def headed(z, term, training):
    """What the head makes of pooled activities: dense, then batch normalisation, in float64."""
    kernel = np.asarray(term.head.kernel, "float64")
    gamma, beta, mean, variance = (
        np.asarray(weight, "float64") for weight in term.normalization.weights
    )
    z = z @ kernel
    if training:
        mean, variance = z.mean(axis=0), z.var(axis=0)
    return gamma * (z - mean) / np.sqrt(variance + term.normalization.epsilon) + beta


def randomised(term, seed=2):
    """Give every float weight of a built term values of its own."""
    rng = np.random.default_rng(seed)
    for weight in term.weights:
        if "int" not in weight.dtype:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return term


def term_and_gradients(term, activities, labels, training=True):
    if not term.built:
        term.build(activities.shape)
    value, (by_activities, *by_weights) = value_and_gradients(
        lambda tensor: term(tensor, labels, training=training),
        activities,
        *term.trainable_weights,
    )
    return float(value), by_activities, by_weights


# --- the formula -------------------------------------------------------------------------------


@pytest.mark.parametrize(("temperature", "weight"), [(0.1, 1.0), (0.8, 0.3), (5.0, 7.0)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_formula_without_a_head(shape, temperature, weight):
    activities, labels = drawn(shape), LABELS[: shape[0]]
    value = SupCon(None, temperature, weight)(activities, labels)
    assert value.shape == ()
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    expected = by_hand(pooled(activities), labels, temperature, weight)
    assert expected > 0.05
    assert float(value) == pytest.approx(expected, rel=3e-6)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_formula_with_a_head(shape, training):
    activities, labels = drawn(shape), LABELS[: shape[0]]
    term = SupCon(6, temperature=0.5)
    term.build(shape)
    randomised(term)
    expected = by_hand(headed(pooled(activities), term, training), labels, 0.5)
    value = float(term(activities, labels, training=training))
    assert value == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "regions", "bounds"),
    [
        ((6, 7, 4, 3), 4, ([0, 2, 4, 6, 7], [0, 1, 2, 3, 4])),
        ((6, 7, 4, 3), 2, ([0, 4, 7], [0, 2, 4])),
        ((6, 4, 3), 3, ([0, 2, 4],)),
        ((6, 2, 2, 3), 8, ([0, 1, 2], [0, 1, 2])),
    ],
    ids=str,
)
def test_the_head_sees_the_average_of_every_region(shape, regions, bounds):
    activities, labels = drawn(shape), LABELS[: shape[0]]
    term = SupCon(5, temperature=0.5, regions=regions)
    term.build(shape)
    randomised(term)
    z = np.asarray(activities, "float64")
    for axis, edges in enumerate(bounds, start=1):
        parts = [
            z.take(range(start, end), axis=axis).mean(axis=axis, keepdims=True)
            for start, end in itertools.pairwise(edges)
        ]
        z = np.concatenate(parts, axis=axis)
    expected = by_hand(headed(z.reshape(len(z), -1), term, True), labels, 0.5)
    assert float(term(activities, labels, training=True)) == pytest.approx(expected, rel=1e-5)
    assert SupCon.from_config(term.get_config()).regions == regions


def test_a_schedule_that_ends_at_zero_ends_at_the_least_temperature():
    term = SupCon(None, keras.optimizers.schedules.CosineDecay(0.8, 2))
    activities, labels = drawn((7, 5)), LABELS
    values = [float(term(activities, labels, training=True)) for _ in range(4)]
    for value, temperature in zip(values, (0.8, 0.4, 0.01, 0.01), strict=True):
        assert value == pytest.approx(by_hand(pooled(activities), labels, temperature), rel=1e-4)


def test_the_batchs_statistics_are_taken_in_training_alone():
    term = SupCon(4)
    activities, labels = drawn((7, 5)), LABELS
    term(activities, labels)
    before = [np.asarray(weight) for weight in term.normalization.weights]
    term(activities, labels)
    for weight, old in zip(term.normalization.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)
    term(activities, labels, training=True)
    moving_mean = np.asarray(term.normalization.moving_mean)
    batch_mean = (pooled(activities) @ np.asarray(term.head.kernel, "float64")).mean(axis=0)
    np.testing.assert_allclose(moving_mean, (1 - 0.99) * batch_mean, rtol=1e-4, atol=1e-8)


def test_a_frozen_term_updates_no_statistics_and_has_nothing_to_learn():
    term = SupCon(4)
    term(drawn((7, 5)), LABELS)
    term.trainable = False
    before = [np.asarray(weight) for weight in term.weights]
    term(drawn((7, 5)), LABELS, training=True)
    assert term.trainable_weights == []
    for weight, old in zip(term.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_the_projection():
    term = SupCon(6)
    z = np.asarray(term.project(drawn((7, 3, 3, 5)), training=True))
    assert z.shape == (7, 6)
    np.testing.assert_allclose((z.astype("float64") ** 2).sum(axis=1), 1, rtol=1e-6)
    assert np.asarray(SupCon(None).project(drawn((7, 3, 3, 5)))).shape == (7, 5)


def test_length_and_order_do_not_matter():
    term, activities = SupCon(None), drawn((7, 5))
    value = float(term(activities, LABELS))
    longer = activities * np.array([[1], [3], [0.1], [7], [1], [20], [5]], "float32")
    assert float(term(longer, LABELS)) == pytest.approx(value, rel=1e-5)
    order = np.array([3, 1, 6, 0, 5, 2, 4])
    assert float(term(activities[order], LABELS[order])) == pytest.approx(value, rel=1e-5)
    assert float(term(activities, LABELS[order])) != pytest.approx(value, rel=1e-2)


def test_labels_of_any_kind():
    term, activities = SupCon(None), drawn((7, 5))
    value = float(term(activities, LABELS))
    for labels in (LABELS.astype("uint8"), LABELS + 1000, LABELS[:, None], LABELS.tolist()):
        assert float(term(activities, np.asarray(labels))) == value


def test_batches_of_unknown_size():
    term = SupCon(6, temperature=0.5)
    term.build((None, 5))
    traced = in_graph(term, ((None, 5), "float32"), ((None,), "int32"), layer=term)
    for size in (7, 4, 1):
        activities, labels = drawn((size, 5)), LABELS[:size].astype("int32")
        expected = float(term(activities, labels))
        assert float(traced(activities, labels)) == pytest.approx(expected, rel=1e-6)


# --- edges -------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [None, 4])
@pytest.mark.parametrize("labels", [[0], [0, 1], [3, 1, 2]], ids=str)
def test_a_batch_without_a_pair_has_no_loss_and_no_gradient(labels, units):
    value, by_activities, by_weights = term_and_gradients(
        SupCon(units), drawn((len(labels), 5)), np.array(labels)
    )
    assert value == 0
    assert np.all(by_activities == 0)
    assert all(np.all(gradient == 0) for gradient in by_weights)


def test_a_batch_of_one_class():
    activities = drawn((5, 4))
    value = float(SupCon(None, temperature=0.7)(activities, np.ones(5, "int32")))
    assert value == pytest.approx(by_hand(pooled(activities), np.ones(5), 0.7), rel=1e-6)
    # Equal directions share evenly: log of the number of others.
    same = np.tile(drawn((1, 4)), (5, 1))
    assert float(SupCon(None)(same, np.ones(5))) == pytest.approx(math.log(4), rel=1e-5)


def test_samples_without_a_positive_count_among_the_others_alone():
    activities, labels = drawn((4, 3)), np.array([0, 0, 1, 2])
    value = float(SupCon(None)(activities, labels))
    assert value == pytest.approx(by_hand(pooled(activities), labels, 0.1), rel=1e-5)
    assert value != pytest.approx(float(SupCon(None)(activities[:2], labels[:2])), abs=1e-3)


@pytest.mark.parametrize("temperature", [1e-3, 0.1])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_finite_where_exponentials_overflow(size, temperature):
    # e^(1 / 0.001) is beyond float64.
    activities = np.array([[1, 0], [-1, 0], [1, 0], [0, 1]], "float32") * np.float32(size)
    labels = np.array([0, 0, 1, 1])
    value, by_activities, _ = term_and_gradients(SupCon(None, temperature), activities, labels)
    # Each sample's similarities to the others, its positive first, in units of 1/τ.
    rows = np.array([[-1, 1, 0], [-1, -1, 0], [0, 1, -1], [0, 0, 0]]) / temperature
    most = rows.max(axis=1)
    logs = most + np.log(np.exp(rows - most[:, None]).sum(axis=1)) - rows[:, 0]
    assert value == pytest.approx(logs.mean(), rel=1e-5)
    assert np.isfinite(by_activities).all()


@pytest.mark.parametrize("units", [None, 4])
def test_samples_without_a_direction(units):
    """Silent samples: similar to nothing, with a finite gradient, which is zero without a head."""
    activities = drawn((6, 5))
    activities[[1, 4]] = 0
    labels = np.array([0, 0, 1, 1, 1, 0])
    value, by_activities, by_weights = term_and_gradients(SupCon(units), activities, labels)
    assert all(np.isfinite(gradient).all() for gradient in (by_activities, *by_weights))
    if units is None:
        assert value == pytest.approx(by_hand(pooled(activities), labels, 0.1), rel=1e-5)
        assert np.all(by_activities[[1, 4]] == 0)
        assert np.all(np.abs(by_activities[[0, 2, 3, 5]]).max(axis=1) > 1e-3)
    # All silent, and behind the head all alike: nothing to tell apart.
    value, by_activities, by_weights = term_and_gradients(
        SupCon(units), np.zeros((6, 5), "float32"), labels
    )
    assert value == pytest.approx(math.log(5), rel=1e-6)
    assert all(np.isfinite(gradient).all() for gradient in (by_activities, *by_weights))


def test_one_label_a_sample():
    for labels in (np.array([0]), np.arange(4), np.zeros((7, 2), "int32")):
        with pytest.raises(ValueError, match=r"one label.*Received.*\(7, 5\)"):
            SupCon(None)(drawn((7, 5)), labels)


# --- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_by_activities_is_that_of_finite_differences(shape):
    activities, labels = drawn(shape), LABELS[: shape[0]]
    _, gradient, _ = term_and_gradients(SupCon(None, 0.5, 2.0), activities, labels)
    numeric = np.zeros(shape)
    for place in np.ndindex(shape):
        step = np.zeros(shape)
        step[place] = 1e-5
        both = [by_hand(pooled(activities + s), labels, 0.5, 2.0) for s in (step, -step)]
        numeric[place] = (both[0] - both[1]) / 2e-5
    assert np.abs(numeric).max() > 1e-2
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6)


def test_gradient_by_the_head_is_that_of_finite_differences():
    activities, labels = drawn((7, 4, 5)), LABELS
    term = SupCon(3, 0.5)
    term.build(activities.shape)
    randomised(term)
    _, by_activities, by_weights = term_and_gradients(term, activities, labels)
    assert len(by_weights) == 3  # kernel, gamma, beta
    kernel = np.asarray(term.head.kernel, "float64")

    class Moved:
        normalization = term.normalization

        class head:
            pass

    numeric = np.zeros(kernel.shape)
    for place in np.ndindex(kernel.shape):
        values = []
        for step in (1e-5, -1e-5):
            Moved.head.kernel = kernel.copy()
            Moved.head.kernel[place] += step
            values.append(by_hand(headed(pooled(activities), Moved, True), labels, 0.5))
        numeric[place] = (values[0] - values[1]) / 2e-5
    assert np.abs(numeric).max() > 1e-2
    np.testing.assert_allclose(by_weights[0], numeric, rtol=1e-3, atol=1e-5)
    for gradient in (by_activities, *by_weights):
        assert np.abs(gradient).max() > 1e-4


@pytest.mark.slow
def test_the_head_and_the_activities_learn_together():
    activities, labels = drawn((12, 6)), np.arange(12) % 3
    term = SupCon(8)
    term.build((None, 6))
    optimizer = keras.optimizers.Adam(0.05)
    values = []
    for _ in range(40):
        value, by_activities, by_weights = term_and_gradients(term, activities, labels)
        optimizer.apply(by_weights, term.trainable_weights)
        activities = activities - 0.1 * by_activities
        values.append(value)
    # Three of its class, evenly shared, is what is left: log 3.
    assert values[0] > 2
    assert math.log(3) - 1e-6 < values[-1] < 1.3


# --- dtypes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_float32_under_every_policy(policy):
    activities, labels = drawn((7, 2, 5)), LABELS
    rounded = keras.ops.cast(activities, "bfloat16")
    expected = []
    for units in (None, 4):
        term = SupCon(units)
        term.build(activities.shape)
        expected.append((randomised(term), float(term(keras.ops.cast(rounded, "float32"), labels))))
    keras.config.set_dtype_policy(policy)
    for plain, value in expected:
        term = SupCon(plain.units)
        term.build(activities.shape)
        for weight, source in zip(term.weights, plain.weights, strict=True):
            assert weight.dtype == "float32"
            weight.assign(source)
        answer = term(rounded, labels)
        assert keras.backend.standardize_dtype(answer.dtype) == "float32"
        assert float(answer) == pytest.approx(value, rel=1e-6)


# --- temperature -------------------------------------------------------------------------------


def cosine(steps=100):
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.8,
        warmup_target=0.2,
        warmup_steps=0.05 * steps,
        decay_steps=0.95 * steps,
        alpha=0.5,
    )


def test_the_temperature_follows_its_schedule():
    """0.8 to 0.2 over the first 5 % of the steps, on to 0.1 by a cosine, as in HCL-FF."""

    def temperature(step):
        if step < 5:
            return 0.8 - 0.6 * step / 5
        return 0.1 + 0.1 * (1 + math.cos(math.pi * min(1, (step - 5) / 95))) / 2

    activities, labels = drawn((7, 5)), LABELS
    term = SupCon(None, cosine())
    term.build((7, 5))
    for step in (0, 1, 4, 5, 6, 50, 99, 100, 109):
        term.steps.assign(step)
        seen = float(term(activities, labels))
        expected = by_hand(pooled(activities), labels, temperature(step))
        assert seen == pytest.approx(expected, rel=1e-5), step
        # Looking counts for nothing; a training step counts, for the next one.
        assert float(term(activities, labels, training=True)) == seen
        assert int(term.steps) == step + 1


@pytest.mark.slow
def test_steps_count_in_compiled_functions():
    term = SupCon(None, cosine())
    term.build((7, 5))
    step = in_graph(
        lambda x: term(x, LABELS, training=True),
        ((7, 5), "float32"),
        layer=term,
        jit_compile=False,
    )
    values = [float(step(drawn((7, 5)))) for _ in range(4)]
    assert int(term.steps) == 4
    assert len(set(values)) == 4
    assert term.trainable_weights == []


def test_a_constant_temperature_has_no_state():
    term = SupCon(None)
    term(drawn((7, 5)), LABELS, training=True)
    assert term.weights == []


# --- configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"units": None, "temperature": 0.5, "weight": 0.1},
        {"units": 6, "temperature": cosine()},
    ],
    ids=["default", "no head", "schedule"],
)
def test_round_trip(settings):
    term = SupCon(**settings)
    assert term.locality == (0 if term.units is None else 1)
    activities = drawn((7, 5))
    term(activities, LABELS, training=True)
    serialised = keras.saving.serialize_keras_object(term)
    for copy in (
        SupCon.from_config(term.get_config()),
        keras.saving.deserialize_keras_object(serialised),
    ):
        assert copy.get_config() == term.get_config()
        if not copy.built:
            copy.build(activities.shape)
        assert len(copy.weights) == len(term.weights)
        for weight, source in zip(copy.weights, term.weights, strict=True):
            weight.assign(source)
        assert float(copy(activities, LABELS)) == float(term(activities, LABELS))


@pytest.mark.slow
def test_saved_and_loaded_with_its_steps(tmp_path):
    """Inside a model file: head, statistics and step count are where they were."""
    activities, labels = keras.Input((5,)), keras.Input((), dtype="int32")
    model = keras.Model([activities, labels], SupCon(6, cosine(), name="term")(activities, labels))
    term = model.get_layer("term")
    for seed in range(3):
        term(drawn((7, 5), seed=seed), LABELS, training=True)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").get_layer("term")
    assert int(loaded.steps) == 3
    x = drawn((7, 5))
    assert float(loaded(x, LABELS)) == float(term(x, LABELS))
    assert float(loaded(x, LABELS, training=True)) == float(term(x, LABELS, training=True))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"units": 0}, "units"),
        ({"units": 1.5}, "units"),
        ({"temperature": 0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"temperature": "cosine"}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"weight": 0}, "weight"),
        ({"weight": -1.0}, "weight"),
    ],
    ids=str,
)
def test_arguments_out_of_range(settings, name):
    with pytest.raises(ValueError, match=rf"`{name}` must.*Received: {name}="):
        SupCon(**settings)


def test_where_it_is_found():
    assert keras_ff.losses.SupCon is SupCon
    assert SupCon not in keras_ff.losses.KNOWN.values()
