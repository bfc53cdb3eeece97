"""What losses have in common: formulas, signs, extreme goodness, names."""

import keras
import numpy as np
import pytest

from keras_ff import goodness, losses
from keras_ff.layers import FFDense
from tests.helpers.either_backend import value_and_gradients
from tests.helpers.goodness_pairs import NEGATIVES, POSITIVE, columns, logistic_by_hand, softplus

# Contrastive ones; class groups have a file of their own.
LOSSES = [name for name, part in losses.KNOWN.items() if not part.per_class]


def symba_by_hand(positive, negative, alpha=16.0):
    positive, negative = columns(positive, negative)
    return softplus(-alpha * (positive - negative)).mean(axis=1)


def label_softmax_by_hand(positive, negative, alpha=16.0):
    logits = alpha * np.concatenate(columns(positive, negative), axis=1)
    largest = logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits - largest)
    return np.log(probabilities.sum(axis=1)) - (logits - largest)[:, 0]


CASES = [
    (losses.Logistic, logistic_by_hand, {}),
    (losses.Logistic, logistic_by_hand, {"threshold": 2.5}),
    (losses.Logistic, logistic_by_hand, {"threshold": -0.5, "margin": 0.75}),
    (losses.SymBa, symba_by_hand, {}),
    (losses.SymBa, symba_by_hand, {"alpha": 4.0}),
    (losses.LabelSoftmax, label_softmax_by_hand, {}),
    (losses.LabelSoftmax, label_softmax_by_hand, {"alpha": 0.5}),
]

CASE_NAMES = [f"{part.__name__}-{settings}" for part, _, settings in CASES]


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(("part", "formula", "settings"), CASES, ids=CASE_NAMES)
def test_formula(part, formula, settings, negatives):
    positive, negative = POSITIVE.astype("float32"), NEGATIVES[negatives].astype("float32")
    value = np.array(part(**settings)(positive, negative))
    assert value.shape == (4,)
    assert value.dtype == "float32"
    np.testing.assert_allclose(value, formula(positive, negative, **settings), rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(("part", "formula", "settings"), CASES, ids=CASE_NAMES)
def test_bfloat16_goodness_is_compared_in_float32(part, formula, settings, negatives):
    positive = keras.ops.cast(POSITIVE, "bfloat16")
    negative = keras.ops.cast(NEGATIVES[negatives], "bfloat16")
    value = part(**settings)(positive, negative)
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    rounded = [np.array(keras.ops.cast(part, "float32")) for part in (positive, negative)]
    np.testing.assert_allclose(value, formula(*rounded, **settings), rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("negatives", NEGATIVES)
@pytest.mark.parametrize(("part", "formula", "settings"), CASES, ids=CASE_NAMES)
def test_gradient_is_that_of_finite_differences(part, formula, settings, negatives):
    arguments = [POSITIVE, NEGATIVES[negatives]]
    _, gradients = value_and_gradients(part(**settings), *arguments)
    for which, gradient in enumerate(gradients):
        numeric = np.zeros(arguments[which].shape)
        for place in np.ndindex(numeric.shape):
            sides = []
            for step in (1e-5, -1e-5):
                moved = [array.copy() for array in arguments]
                moved[which][place] += step
                sides.append(formula(*moved, **settings).sum())
            numeric[place] = (sides[0] - sides[1]) / 2e-5
        np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_pulls_positives_up_and_pushes_negatives_down(name, several):
    positive = np.array([1.0, 0.95, 1.05])
    negative = np.array([1.0, 1.05, 0.95])
    if several:
        negative = np.stack([negative, negative + 0.01], axis=1)
    _, (pull, push) = value_and_gradients(losses.get(name), positive, negative)
    assert pull.max() < -1e-2
    assert push.min() > 1e-2


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_falls_as_streams_part(name):
    distance = np.array([0.0, 0.05, 0.1, 0.2])
    value = np.array(losses.get(name)(1.0 + distance, 1.0 - distance))
    assert np.all(np.diff(value) < -1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_gives_one_value_per_sample(name):
    positive, negative = POSITIVE.copy(), NEGATIVES["three"].copy()
    before = np.array(losses.get(name)(positive, negative))
    positive[1:], negative[1:] = 0.7, 0.9
    after = np.array(losses.get(name)(positive, negative))
    assert before[0] == after[0]
    assert np.all(before[1:] != after[1:])


@pytest.mark.parametrize("far", [1e4, -1e4])
@pytest.mark.parametrize("several", [1, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_stays_finite_far_out(name, several, far):
    positive = np.array([far, 0.0, far])
    negative = np.repeat([[0.0], [far], [far]], several, axis=1)
    value, gradients = value_and_gradients(losses.get(name), positive, negative)
    assert np.all(np.isfinite(value))
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    # Where the streams stand the wrong way round the loss still pulls, however far out.
    wrong = 1 if far > 0 else 0
    assert value[wrong] >= 1e4 - 2
    assert gradients[0][wrong] < -0.5 if far < 0 else gradients[1][wrong].sum() > 0.5


@pytest.mark.parametrize(
    ("loss", "positive", "negative", "expected"),
    [
        (losses.SymBa(alpha=16.0), -1e4, 1e4, 32e4),
        (losses.SymBa(alpha=16.0), 1e4, -1e4, 0.0),
        (losses.LabelSoftmax(alpha=2.0), 0.0, 1e4, 2e4),
        (losses.LabelSoftmax(alpha=2.0), 1e4, 0.0, 0.0),
        (losses.Logistic(threshold=10.0, margin=5.0), 0.0, 1e4, 15.0 + 9995.0),
        (losses.Logistic(threshold=0.0), -1e4, 1e4, 2e4),
        (losses.Logistic(threshold=0.0), 1e4, -1e4, 0.0),
    ],
    ids=repr,
)
def test_asymptotes(loss, positive, negative, expected):
    value = float(loss(np.array([positive]), np.array([negative]))[0])
    assert value == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_small_losses_are_not_rounded_to_zero():
    # log(1 + e^-20) written out would be 0 in float32.
    value = float(losses.SymBa(alpha=1.0)(np.array([20.0]), np.array([0.0]))[0])
    assert value == pytest.approx(np.exp(-20.0), rel=1e-4)


@pytest.mark.parametrize("part", [losses.SymBa, losses.Logistic])
def test_pair_losses_average_over_negatives(part):
    loss = part()
    each = [np.array(loss(POSITIVE, negative)) for negative in NEGATIVES["three"].T]
    together = loss(POSITIVE, NEGATIVES["three"])
    np.testing.assert_allclose(together, np.mean(each, axis=0), rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_negatives_does_not_matter(name):
    loss, negative = losses.get(name), NEGATIVES["three"]
    ordered, turned = loss(POSITIVE, negative), loss(POSITIVE, negative[:, ::-1])
    np.testing.assert_allclose(ordered, turned, rtol=1e-5, atol=1e-7)
    # Another batch order gives the same values in that order.
    turned = loss(POSITIVE[::-1], negative[::-1])
    np.testing.assert_allclose(np.array(turned)[::-1], ordered, rtol=1e-6)


@pytest.mark.parametrize("unit", [1.0, 0.25, 500.0])
def test_auto_follows_the_unit(unit):
    assert losses.Logistic().on_scale(unit).threshold == 0.5 * unit
    assert losses.Logistic(margin=0.5).on_scale(unit).margin == 0.5
    assert losses.SymBa().on_scale(unit).alpha == 16.0 / unit
    assert losses.LabelSoftmax().on_scale(unit).alpha == 16.0 / unit


@pytest.mark.parametrize(
    "loss",
    [
        losses.Logistic(threshold=3.0, margin=0.5),
        losses.Logistic(threshold="learned"),
        losses.SymBa(alpha=4.0),
        losses.LabelSoftmax(alpha=4.0),
    ],
    ids=repr,
)
def test_what_is_given_is_left_alone(loss):
    assert loss.on_scale(500.0) == loss


@pytest.mark.parametrize("part", [losses.Logistic, losses.SymBa, losses.LabelSoftmax])
def test_auto_makes_sums_and_means_alike(part):
    """At half a unit, and with alpha one over it, only the scale of the values differs."""
    activities = np.random.default_rng(5).normal(size=(2, 4, 40))
    found = []
    for name in ("sum_of_squares", "mean_of_squares"):
        measure = goodness.get(name)
        unit = measure.unit((None, 40))
        loss = part().on_scale(unit)
        if part is losses.Logistic:
            found.append(loss.threshold / unit)
        else:
            found.append(np.array(loss(measure(activities[0]), measure(activities[1]))))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


@pytest.mark.parametrize(
    ("measure", "threshold", "alpha"),
    [
        ("mean_of_squares", 0.5, 16.0),
        ("sum_of_squares", 6.0, 16.0 / 12),
        (goodness.MeanOfSquares(scale=64.0), 32.0, 0.25),
        (goodness.SumOfSquares(scale=0.5), 3.0, 16.0 / 6),
    ],
    ids=str,
)
def test_layers_set_auto_when_they_are_built(measure, threshold, alpha):
    layer = FFDense(12, goodness=measure, loss="logistic")
    assert layer.loss.threshold == "auto"
    layer.build((None, 5))
    assert layer.loss.threshold == threshold
    layer.set_objective(losses.SymBa(), None)
    assert layer.loss.alpha == pytest.approx(alpha)
    assert layer.own_loss == losses.Logistic()  # what was configured stays


def test_numbers_may_be_numpys():
    assert losses.SymBa(alpha=np.float64(4.0)).alpha == 4.0
    assert losses.SymBa(alpha=np.float32(4.0)).alpha == 4.0
    assert losses.SymBa(alpha=np.int64(4)).alpha == 4.0
    assert losses.Logistic(threshold=np.float32(2.0)).threshold == 2.0


@pytest.mark.parametrize("name", LOSSES)
def test_get(name):
    loss = losses.get(name)
    assert type(loss) is losses.KNOWN[name]
    assert losses.get(loss) is loss
    assert losses.get(None) is None


@pytest.mark.parametrize(
    "loss",
    [losses.get(name) for name in LOSSES]
    + [
        losses.Logistic(threshold=2.5, margin=0.5),
        losses.Logistic(threshold=[1.0, 2.0], margin=[0.0, 0.5]),
        losses.Logistic(threshold="learned"),
        losses.SymBa(alpha=3.0),
        losses.LabelSoftmax(alpha=3.0),
    ],
    ids=repr,
)
def test_round_trip(loss):
    serialised = keras.saving.serialize_keras_object(loss)
    copies = [
        type(loss).from_config(loss.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        losses.get(serialised),
    ]
    arguments = POSITIVE, NEGATIVES["three"]
    for copy in copies:
        assert type(copy) is type(loss)
        assert copy == loss
        assert copy.get_config() == loss.get_config()
        first, second = copy.for_layer(1, 2).on_scale(3.0), loss.for_layer(1, 2).on_scale(3.0)
        np.testing.assert_array_equal(first(*arguments), second(*arguments))


def test_a_callers_list_stays_the_callers():
    thresholds = [1.0, 2.0]
    loss = losses.Logistic(threshold=thresholds)
    thresholds[0] = 9.0
    loss.get_config()["threshold"][1] = 9.0
    assert loss.threshold == [1.0, 2.0]
