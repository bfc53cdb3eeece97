"""Losses: formulas, signs, extreme goodness, thresholds, alphas."""

import keras
import numpy as np
import pytest
from either_backend import value_and_gradients

import keras_ff
from keras_ff import goodness, losses
from keras_ff.layers import FFDense

# Contrastive ones; class groups have a file of their own.
LOSSES = [name for name, part in losses.KNOWN.items() if not part.per_class]
POSITIVE = np.array([0.3, 2.0, -1.0, 5.0])
NEGATIVES = {
    "one": np.array([1.0, 0.1, 0.5, 4.5]),
    "one_column": np.array([[1.0], [0.1], [0.5], [4.5]]),
    "three": np.random.default_rng(2).normal(1.0, 2.0, size=(4, 3)),
}


def softplus(x):
    return np.logaddexp(0.0, x)


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def columns(positive, negative):
    """Both in float64, as (batch, 1) and (batch, several)."""
    positive, negative = np.asarray(positive, "float64"), np.asarray(negative, "float64")
    return positive[:, None], negative.reshape(len(positive), -1)


def logistic_by_hand(positive, negative, threshold=0.5, margin=0.0):
    positive, negative = columns(positive, negative)
    pull = softplus(threshold + margin - positive)[:, 0]
    return pull + softplus(negative - threshold + margin).mean(axis=1)


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


# --- formulas ----------------------------------------------------------------------------------


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


# --- what every loss has to do -----------------------------------------------------------------


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
def test_every_loss_gives_one_figure_a_sample(name):
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


# --- the margin --------------------------------------------------------------------------------


def test_a_larger_margin_raises_the_loss():
    positive, negative = np.linspace(-3, 3, 7), np.linspace(2, -2, 7)
    values = [
        np.array(losses.Logistic(threshold=0.5, margin=margin)(positive, negative))
        for margin in (0.0, 0.5, 1.0, 4.0)
    ]
    assert np.all(np.diff(values, axis=0) > 1e-2)


def test_a_larger_margin_strengthens_both_forces():
    forces = [
        value_and_gradients(losses.Logistic(threshold=1.0, margin=margin), [1.5], [0.5])[1]
        for margin in (0.0, 1.0, 2.0)
    ]
    pulls, pushes = np.array(forces)[:, 0, 0], np.array(forces)[:, 1, 0]
    assert np.all(np.diff(pulls) < -0.05)  # more negative: positives rise faster
    assert np.all(np.diff(pushes) > 0.05)  # more positive: negatives fall faster
    np.testing.assert_allclose(pulls, -sigmoid(1.0 + np.array([0.0, 1.0, 2.0]) - 1.5), rtol=1e-5)
    np.testing.assert_allclose(pushes, -pulls, rtol=1e-5)


def test_descent_with_a_larger_margin_ends_further_apart():
    gaps = []
    for margin in (0.0, 1.0, 3.0):
        loss = losses.Logistic(threshold=2.0, margin=margin)
        positive, negative = np.array([2.0]), np.array([2.0])
        for _ in range(20):
            _, (pull, push) = value_and_gradients(loss, positive, negative)
            positive, negative = positive - 0.5 * pull, negative - 0.5 * push
        gaps.append((positive - negative)[0])
    assert gaps[0] > 2.0
    assert gaps[1] > gaps[0] + 1.0
    assert gaps[2] > gaps[1] + 2.0


# --- relations between losses ------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.5, 4.0, "auto"])
@pytest.mark.parametrize("negatives", ["one", "one_column"])
def test_label_softmax_with_one_negative_is_symba(alpha, negatives):
    arguments = POSITIVE, NEGATIVES[negatives]
    softmax, symba = losses.LabelSoftmax(alpha=alpha), losses.SymBa(alpha=alpha)
    np.testing.assert_allclose(softmax(*arguments), symba(*arguments), rtol=1e-6)
    for one, other in zip(
        value_and_gradients(softmax, *arguments)[1],
        value_and_gradients(symba, *arguments)[1],
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_with_several_negatives_they_differ():
    arguments = np.zeros(1), np.zeros((1, 3))
    assert float(losses.SymBa()(*arguments)[0]) == pytest.approx(np.log(2), rel=1e-6)
    assert float(losses.LabelSoftmax()(*arguments)[0]) == pytest.approx(np.log(4), rel=1e-6)


def test_label_softmax_over_all_wrong_labels_is_the_cross_entropy():
    figures = np.random.default_rng(4).normal(size=(5, 6))
    labels = np.array([0, 5, 2, 2, 4])
    positive = figures[np.arange(5), labels]
    negative = np.array([np.delete(row, label) for row, label in zip(figures, labels, strict=True)])
    entropy = keras.losses.sparse_categorical_crossentropy(labels, 3.0 * figures, from_logits=True)
    value = losses.LabelSoftmax(alpha=3.0)(positive, negative)
    np.testing.assert_allclose(value, entropy, rtol=1e-5)


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
    # Another batch order gives the same figures in that order.
    np.testing.assert_allclose(loss(POSITIVE[::-1], negative[::-1])[::-1], ordered, rtol=1e-6)


def test_symba_with_alpha_one_on_sums_is_the_softmax_over_the_pair():
    positive, negative = np.array([3.0, 1.0]), np.array([2.0, 1.5])
    softmax = -np.log(np.exp(positive) / (np.exp(positive) + np.exp(negative)))
    np.testing.assert_allclose(losses.SymBa(alpha=1.0)(positive, negative), softmax, rtol=1e-5)


# --- "auto", and the scale of the goodness -----------------------------------------------------


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
    """At half a unit, and with alpha one over it, only the scale of the figures differs."""
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


# --- thresholds: one for all, one a layer, learned ---------------------------------------------


def model_with(loss, layers=2, **settings):
    model = keras_ff.FFModel(
        [FFDense(5, **settings) for _ in range(layers)], 3, layer_schedule="simultaneous"
    )
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    model.build((None, 4))
    return model


def batch(samples=8):
    rng = np.random.default_rng(6)
    return rng.normal(size=(samples, 4)).astype("float32"), rng.integers(0, 3, samples)


def test_one_threshold_for_all_layers():
    model = model_with(losses.Logistic(threshold=2.0, margin=0.5))
    assert [layer.loss.threshold for layer in model.ff_layers] == [2.0, 2.0]
    assert [layer.loss.margin for layer in model.ff_layers] == [0.5, 0.5]


def test_a_threshold_and_a_margin_for_each_layer():
    model = model_with(losses.Logistic(threshold=[1.0, 4.0], margin=[0.0, 0.5]))
    assert [layer.loss.threshold for layer in model.ff_layers] == [1.0, 4.0]
    assert [layer.loss.margin for layer in model.ff_layers] == [0.0, 0.5]
    inputs = np.random.default_rng(7).normal(size=(6, 7)).astype("float32")
    layer = model.ff_layers[0]
    figures, _ = layer.measure(inputs)
    expected = logistic_by_hand(
        figures["positive_goodness"], figures["negative_goodness"], threshold=1.0
    )
    assert float(figures["loss"]) == pytest.approx(expected.mean(), rel=1e-5)


def test_a_list_is_no_threshold_by_itself():
    with pytest.raises(ValueError, match=r"for_layer.*Received: threshold=\[1.0, 2.0\]"):
        losses.Logistic(threshold=[1.0, 2.0])(POSITIVE, POSITIVE)


def test_a_threshold_given_in_the_call_counts():
    value = losses.Logistic(threshold=9.0)(POSITIVE, NEGATIVES["one"], threshold=2.0)
    np.testing.assert_allclose(
        value, logistic_by_hand(POSITIVE, NEGATIVES["one"], threshold=2.0), rtol=1e-5
    )


@pytest.mark.parametrize("measure", ["mean_of_squares", "sum_of_squares"])
def test_a_learned_threshold_starts_at_half_a_unit_and_takes_the_layers_step(measure):
    layer = FFDense(
        6,
        goodness=measure,
        loss=losses.Logistic(threshold="learned", margin=0.25),
        optimizer=keras.optimizers.SGD(0.5),
    )
    layer.build((None, 4))
    start = 0.5 if measure == "mean_of_squares" else 3.0
    assert float(layer.threshold) == start
    assert any(weight is layer.threshold for weight in layer.trainable_weights)
    figures, _ = layer.train_step(np.random.default_rng(8).normal(size=(10, 4)).astype("float32"))
    positive = np.array(figures["positive_goodness"])
    negative = np.array(figures["negative_goodness"])
    expected = logistic_by_hand(positive, negative, start, 0.25).mean()
    assert float(figures["loss"]) == pytest.approx(expected, rel=1e-5)
    slope = np.mean(sigmoid(start + 0.25 - positive) - sigmoid(negative - start + 0.25))
    assert abs(slope) > 1e-3
    assert float(layer.threshold) == pytest.approx(start - 0.5 * slope, rel=1e-5)


def test_a_learned_threshold_is_saved_and_loaded(tmp_path):
    model = model_with(losses.Logistic(threshold="learned"))
    before = [float(layer.threshold) for layer in model.ff_layers]
    for _ in range(3):
        model.train_on_batch(*batch())
    learned = [float(layer.threshold) for layer in model.ff_layers]
    assert all(abs(one - other) > 1e-3 for one, other in zip(before, learned, strict=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [float(layer.threshold) for layer in loaded.ff_layers] == learned
    model.save_weights(tmp_path / "model.weights.h5")
    other = model_with(losses.Logistic(threshold="learned"))
    other.load_weights(tmp_path / "model.weights.h5")
    assert [float(layer.threshold) for layer in other.ff_layers] == learned


def test_a_learned_threshold_goes_with_its_loss():
    model = model_with(losses.Logistic(threshold="learned"))
    assert len(model.trainable_variables) == 6
    model.compile(keras.optimizers.SGD(0.1), losses.Logistic(threshold=2.0), run_eagerly=True)
    assert len(model.trainable_variables) == 4
    assert [layer.threshold for layer in model.ff_layers] == [None, None]
    kernel = keras.ops.convert_to_numpy(model.ff_layers[0].kernel)
    model.train_on_batch(*batch())
    after = keras.ops.convert_to_numpy(model.ff_layers[0].kernel)
    assert np.abs(after - kernel).max() > 1e-4


def test_numbers_may_be_numpys():
    assert losses.SymBa(alpha=np.float64(4.0)).alpha == 4.0
    assert losses.SymBa(alpha=np.float32(4.0)).alpha == 4.0
    assert losses.SymBa(alpha=np.int64(4)).alpha == 4.0
    assert losses.Logistic(threshold=np.float32(2.0)).threshold == 2.0


# --- configuration -----------------------------------------------------------------------------


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
