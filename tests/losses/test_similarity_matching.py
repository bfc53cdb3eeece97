"""SimilarityMatching: the formula by plain loops, its head, its edges, its state."""

import math

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff.goodness import ClassGroups
from keras_ff.layers import Batch, FFConv2D, FFDense
from keras_ff.losses import SimilarityMatching
from tests.helpers import copies, drawn
from tests.helpers.either_backend import in_graph, value_and_gradients

SHAPES = [(7, 5), (6, 4, 3), (5, 3, 2, 4), (4, 2, 3, 2, 3)]
WEIGHT = 20.0
LABELS = np.array([0, 2, 0, 1, 2, 0, 1])


def spread(activities):
    """What is compared: standard deviations over positions, in float64."""
    z = np.asarray(activities, "float64")
    z = z.reshape(len(z), -1, z.shape[-1])
    return z[:, 0] if z.shape[1] == 1 else z.std(axis=1)


def similarity(rows):
    """Cosine similarities of rows without their means, one pair after the other."""
    rows = [row - row.mean() for row in np.asarray(rows, "float64")]
    lengths = [math.sqrt((row**2).sum()) for row in rows]
    found = np.zeros((len(rows), len(rows)))
    for i, j in np.ndindex(found.shape):
        if min(lengths[i], lengths[j]) > 1e-6:
            found[i, j] = (rows[i] @ rows[j]) / (lengths[i] * lengths[j])
    return found


def by_hand(z, labels, weight=1.0, num_classes=3):
    """The formula of Nøkland and Eidnes (2019), one-hot labels and all."""
    of_labels = similarity(np.eye(num_classes)[labels])
    return weight * ((similarity(z) - of_labels) ** 2).mean()


def convolved(activities, kernel):
    """A convolution of size 3 over images, padded with zeros, written out in loops."""
    x, kernel = np.asarray(activities, "float64"), np.asarray(kernel, "float64")
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    found = np.zeros((*x.shape[:3], kernel.shape[-1]))
    for row, column in np.ndindex(x.shape[1:3]):
        window = padded[:, row : row + 3, column : column + 3]
        found[:, row, column] = np.einsum("bijc,ijcd->bd", window, kernel)
    return found


def headless(weight=1.0, num_classes=3):
    return SimilarityMatching(weight, use_head=False, num_classes=num_classes)


def headed(shape, **settings):
    term = SimilarityMatching(**{"weight": 1.0, "num_classes": 3, **settings})
    term.build(shape)
    return term


def term_and_gradients(term, activities, labels):
    value, (by_activities, *by_weights) = value_and_gradients(
        lambda tensor: term(tensor, labels, training=True), activities, *term.trainable_weights
    )
    return float(value), by_activities, by_weights


def finite_differences(function, point, step=1e-6):
    point, numeric = np.asarray(point, "float64"), np.zeros(np.shape(point))
    for place in np.ndindex(numeric.shape):
        sides = []
        for signed in (step, -step):
            moved = point.copy()
            moved[place] += signed
            sides.append(function(moved))
        numeric[place] = (sides[0] - sides[1]) / (2 * step)
    return numeric


# --- the formula -------------------------------------------------------------------------------


@pytest.mark.parametrize(("weight", "num_classes"), [(1.0, 3), (99.0, 3), (0.3, 10)])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_formula_without_a_head(shape, weight, num_classes):
    activities, labels = drawn(shape), LABELS[: shape[0]]
    value = headless(weight, num_classes)(activities, labels)
    assert value.shape == ()
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    expected = by_hand(spread(activities), labels, weight, num_classes)
    assert expected > 0.1 * weight
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_the_similarity_of_labels():
    """One within a class and −1 / (K − 1) between classes, which the formula takes for granted."""
    for num_classes in (2, 3, 10):
        found = similarity(np.eye(num_classes))
        np.testing.assert_allclose(np.diag(found), 1)
        np.testing.assert_allclose(found[0, 1:], -1 / (num_classes - 1))
        # One-hot labels as activities are as similar as they should be.
        labels = np.arange(8) % num_classes
        value = headless(1.0, num_classes)(np.eye(num_classes)[labels].astype("float32"), labels)
        assert float(value) == pytest.approx(0, abs=1e-6)


def test_the_head_of_dense_activities_is_a_square_matrix():
    term, activities = headed((7, 5)), drawn((7, 5))
    (kernel,) = term.weights
    assert kernel.shape == (5, 5)
    outputs = activities.astype("float64") @ np.asarray(kernel, "float64")
    expected = by_hand(outputs, LABELS)
    assert float(term(activities, LABELS)) == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(by_hand(activities, LABELS), rel=1e-2)


def test_the_head_of_images_is_a_convolution_of_size_3():
    shape = (6, 4, 3, 5)
    term, activities, labels = headed(shape), drawn(shape), LABELS[:6]
    (kernel,) = term.weights
    assert kernel.shape == (3, 3, 5, 5)
    expected = by_hand(spread(convolved(activities, kernel)), labels)
    assert float(term(activities, labels)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "kernel"),
    [((None, 5), (5, 5)), ((None, 6, 4), (3, 4, 4)), ((None, 5, 4, 6, 2), (3, 3, 3, 2, 2))],
    ids=str,
)
def test_the_head_has_the_axes_of_the_activities(shape, kernel):
    assert headed(shape).head.kernel.shape == kernel


def test_a_single_position_has_no_spread_and_is_compared_itself():
    activities = drawn((7, 5))
    expected = by_hand(activities, LABELS)
    for shape in ((7, 1, 5), (7, 1, 1, 5)):
        value = headless()(activities.reshape(shape), LABELS)
        assert float(value) == pytest.approx(expected, rel=1e-5)


def test_the_projection():
    for term, shape in ((headless(), (7, 5)), (headed((7, 3, 3, 5)), (7, 3, 3, 5))):
        directions = np.asarray(term.project(drawn(shape)), "float64")
        assert directions.shape == (7, 5)
        np.testing.assert_allclose(directions.mean(axis=1), 0, atol=1e-6)
        np.testing.assert_allclose((directions**2).sum(axis=1), 1, rtol=1e-5)


def test_length_level_and_order_do_not_matter():
    term, activities = headless(), drawn((7, 5))
    value = float(term(activities, LABELS))
    factors = np.array([[1], [3], [0.1], [7], [1], [20], [5]], "float32")
    assert float(term(activities * factors + factors, LABELS)) == pytest.approx(value, rel=1e-4)
    order = np.array([3, 1, 6, 0, 5, 2, 4])
    assert float(term(activities[order], LABELS[order])) == pytest.approx(value, rel=1e-5)
    assert float(term(activities, LABELS[order])) != pytest.approx(value, rel=1e-2)


def test_labels_of_any_kind():
    term, activities = headless(), drawn((7, 5))
    value = float(term(activities, LABELS))
    for labels in (LABELS.astype("uint8"), LABELS[:, None], LABELS.tolist()):
        assert float(term(activities, np.asarray(labels))) == value


def test_batches_of_unknown_size():
    term = headed((None, 4, 4, 3))
    traced = in_graph(term, ((None, 4, 4, 3), "float32"), ((None,), "int32"), layer=term)
    for size in (7, 4, 1):
        activities, labels = drawn((size, 4, 4, 3)), LABELS[:size].astype("int32")
        expected = float(term(activities, labels))
        assert float(traced(activities, labels)) == pytest.approx(expected, rel=1e-5, abs=1e-6)


# --- gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_by_activities_is_that_of_finite_differences(shape):
    activities, labels = drawn(shape), LABELS[: shape[0]]
    _, gradient, _ = term_and_gradients(headless(2.0), activities, labels)
    numeric = finite_differences(lambda x: by_hand(spread(x), labels, 2.0), activities)
    assert np.abs(numeric).max() > 1e-2
    np.testing.assert_allclose(gradient, numeric, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("shape", [(7, 4), (5, 3, 2, 3)], ids=str)
def test_gradients_behind_a_head_are_those_of_finite_differences(shape):
    term, activities, labels = headed(shape), drawn(shape), LABELS[: shape[0]]
    _, by_activities, (by_kernel,) = term_and_gradients(term, activities, labels)

    def value(x, kernel):
        return by_hand(x @ kernel if x.ndim == 2 else spread(convolved(x, kernel)), labels)

    kernel = np.asarray(term.head.kernel, "float64")
    numeric = finite_differences(lambda x: value(x, kernel), activities)
    np.testing.assert_allclose(by_activities, numeric, rtol=1e-3, atol=1e-5)
    numeric = finite_differences(lambda k: value(activities.astype("float64"), k), kernel)
    assert np.abs(numeric).max() > 1e-2
    np.testing.assert_allclose(by_kernel, numeric, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("use_head", [False, True])
@pytest.mark.parametrize("shape", [(6, 5), (6, 3, 3, 5)], ids=str)
def test_samples_without_a_direction(shape, use_head):
    """Silent samples: similar to nothing, with a finite gradient, which is zero without a head."""
    activities, labels = drawn(shape), np.array([0, 0, 1, 1, 1, 0])
    activities[[1, 4]] = 0
    term = headed(shape, use_head=use_head)
    value, by_activities, by_weights = term_and_gradients(term, activities, labels)
    assert all(np.isfinite(gradient).all() for gradient in (by_activities, *by_weights))
    assert np.all(by_activities[[1, 4]] == 0)
    assert np.all(np.abs(by_activities[[0, 2, 3, 5]]).reshape(4, -1).max(axis=1) > 1e-3)
    if not use_head:
        assert value == pytest.approx(by_hand(spread(activities), labels), rel=1e-5)
    # All silent: what is left are the squares of the labels' similarities.
    value, *gradients = term_and_gradients(term, np.zeros(shape, "float32"), labels)
    assert value == pytest.approx((18 * 1 + 18 / 4) / 36, rel=1e-5)
    assert all(np.all(gradient == 0) for gradient in (gradients[0], *gradients[1]))


def test_channels_that_are_the_same_everywhere():
    activities, labels = drawn((6, 3, 3, 5)), LABELS[:6]
    activities[..., 1] = 2.0
    activities[2, :, :, 3] = 0.0
    value, gradient, _ = term_and_gradients(headless(), activities, labels)
    assert value == pytest.approx(by_hand(spread(activities), labels), rel=1e-5)
    assert np.isfinite(gradient).all()
    assert np.all(gradient[..., 1] == 0) and np.all(gradient[2, :, :, 3] == 0)
    assert np.abs(gradient[..., 0]).max() > 1e-3


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_finite_at_any_length(size):
    for shape in ((7, 5), (7, 4, 4, 5)):
        activities = size * drawn(shape)
        value, gradient, _ = term_and_gradients(headless(), activities, LABELS)
        assert value == pytest.approx(by_hand(spread(activities), LABELS), rel=1e-4)
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@pytest.mark.slow
def test_the_head_and_the_activities_learn_together():
    activities, labels = drawn((12, 6)), np.arange(12) % 3
    term, optimizer, values = headed((None, 6)), keras.optimizers.Adam(0.02), []
    for _ in range(40):
        value, by_activities, by_weights = term_and_gradients(term, activities, labels)
        optimizer.apply(by_weights, term.trainable_weights)
        activities = activities - 0.5 * by_activities
        values.append(value)
    assert values[0] > 0.3
    assert values[-1] < 0.1 * values[0]


# --- dtypes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
@pytest.mark.parametrize("shape", [(7, 64), (7, 4, 4, 16)], ids=str)
def test_the_heads_product_alone_is_in_the_compute_dtype(shape, policy):
    activities = keras.ops.cast(drawn(shape), "bfloat16")
    exact = keras.ops.cast(activities, "float32")
    plain = [headed(shape, use_head=use_head) for use_head in (False, True)]
    expected = [float(term(exact, LABELS)) for term in plain]
    keras.config.set_dtype_policy(policy)
    for source, value, tolerance in zip(plain, expected, (1e-5, 2e-2), strict=True):
        term = headed(shape, use_head=source.use_head)
        term.set_weights(source.get_weights())
        answer = term(activities, LABELS)
        assert keras.backend.standardize_dtype(answer.dtype) == "float32"
        assert float(answer) == pytest.approx(value, rel=tolerance)
        if term.head is not None:
            assert term.head.compute_dtype == policy.removeprefix("mixed_")
    # A policy of its own keeps all in float32.
    term = headed(shape, dtype="float32")
    term.set_weights(plain[1].get_weights())
    assert float(term(activities, LABELS)) == pytest.approx(expected[1], rel=1e-5)


# --- in a layer and in a model -------------------------------------------------------------------


def test_predsim_is_a_hundredth_of_the_loss():
    """`0.01 · cross-entropy + 0.99 · similarity`, beside a local classifier."""
    inputs, labels = drawn((8, 6)), np.arange(8) % 3
    layer = FFDense(
        5, goodness="local_classifier", loss="sparse_categorical_crossentropy", optimizer="adam",
        auxiliary=SimilarityMatching(),
    )  # fmt: skip
    layer.num_classes = 3
    batch = Batch(inputs, 1, labels=labels)
    loss = float(layer.test_step(batch)[0]["loss"])
    activities = keras.ops.convert_to_numpy(layer(inputs)).astype("float64")
    logits = np.asarray(layer.goodness(activities.astype("float32")), "float64")
    entropy = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(8), labels]
    (term,) = layer.auxiliary
    similar = by_hand(activities @ np.asarray(term.head.kernel, "float64"), labels)
    assert loss / 100 == pytest.approx(0.01 * entropy.mean() + 0.99 * similar, rel=1e-5)


@pytest.mark.parametrize(
    ("goodness", "use_head", "locality"),
    [
        ("local_classifier", True, 2),
        ("local_classifier", False, 2),
        ("class_groups", True, 2),
        ("class_groups", False, 1),
        ("mean_of_squares", True, 2),
        ("mean_of_squares", False, 1),
    ],
)
def test_a_model_tells_it_the_number_of_classes_and_counts_its_head(goodness, use_head, locality):
    contrastive = goodness == "mean_of_squares"
    settings = {} if contrastive else {"label_embedding": None, "negatives": None}
    term = SimilarityMatching(use_head=use_head)
    model = keras_ff.FFModel([FFDense(6, goodness=goodness, auxiliary=term)], 3, **settings)
    model.build((None, 4))
    assert term.num_classes == 3
    assert model.locality == locality


def test_other_classes():
    model = keras_ff.FFModel([FFDense(6, auxiliary=SimilarityMatching())], 3)
    model.build((None, 4))
    (term,) = model.rebuild(num_classes=5).ff_layers[0].auxiliary
    assert term.num_classes == 5
    with pytest.raises(ValueError, match=r"for 4 classes and num_classes=3"):
        keras_ff.FFModel([FFDense(6, auxiliary=SimilarityMatching(num_classes=4))], 3)


def digits_model(make):
    """A small network of local classifiers or class groups, compiled."""
    layers = [make(SimilarityMatching(weight=WEIGHT)) for _ in range(2)]
    model = keras_ff.FFModel(
        layers, 10, label_embedding=None, negatives=None, layer_schedule="simultaneous"
    )
    model.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda term: FFDense(100, goodness="local_classifier", auxiliary=term),
        lambda term: FFConv2D(20, goodness="local_classifier", auxiliary=term),
        lambda term: FFDense(100, goodness=ClassGroups(scale=10.0), auxiliary=term),
    ],
    ids=["perceptron", "convolutions", "class groups"],
)
def test_it_trains_on_digits(make):
    """Every layer matches the labels better than before, and the network classifies."""
    train, valid, _ = keras_ff.datasets.load("digits", batch_size=64, seed=0)
    keras.utils.set_random_seed(0)
    model = digits_model(make)
    x, y = next(iter(valid))
    model.build(x.shape)

    def values():
        activities = model.stack.activities(Batch(x, streams=1))
        pairs = zip(model.ff_layers, activities, strict=True)
        return [float(layer.auxiliary[0](each, y)) for layer, each in pairs]

    before = values()
    model.fit(train, epochs=6, verbose=0)
    after = values()
    assert all(late < 0.5 * early for early, late in zip(before, after, strict=True))
    assert model.evaluate(valid, return_dict=True, verbose=0)["accuracy"] > 0.9


# --- configuration -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [{}, {"weight": 10.0, "use_head": False}, {"num_classes": 3, "dtype": "float32"}],
    ids=["default", "no head", "all"],
)
def test_round_trip(settings):
    term = SimilarityMatching(**settings)
    term.num_classes = 3  # as a model sets it
    assert term.locality == (1 if settings.get("use_head", True) else 0)
    activities = drawn((7, 5))
    value = float(term(activities, LABELS))
    for copy in copies(term):
        assert copy.get_config() == term.get_config()
        if not copy.built:
            copy.build(activities.shape)
        copy.set_weights(term.get_weights())
        assert float(copy(activities, LABELS)) == value
    assert SimilarityMatching().get_config()["num_classes"] is None


@pytest.mark.slow
def test_saved_and_loaded_it_goes_on_as_before(tmp_path):
    def make(term):
        return FFConv2D(20, goodness="class_groups", auxiliary=term)

    keras.utils.set_random_seed(0)
    model = digits_model(make)
    x, y = drawn((8, 8, 8, 1)), np.arange(8)
    for _ in range(2):
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        each.reset_metrics()
    logs = [each.train_on_batch(x, y, return_dict=True) for each in (model, loaded)]
    for name, value in logs[0].items():
        assert float(value) == pytest.approx(float(logs[1][name]), rel=1e-5), name
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_a_frozen_term_has_nothing_to_learn():
    term = SimilarityMatching(num_classes=3, trainable=False)
    term(drawn((7, 5)), LABELS)
    assert term.trainable_weights == []
    assert not term.head.trainable and not term.head.kernel.trainable


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"weight": 0}, "weight"),
        ({"weight": math.nan}, "weight"),
        ({"use_head": 1}, "use_head"),
        ({"use_head": None}, "use_head"),
        ({"num_classes": 1}, "num_classes"),
        ({"num_classes": 2.5}, "num_classes"),
    ],
    ids=str,
)
def test_arguments_out_of_range(settings, name):
    with pytest.raises(ValueError, match=rf"`{name}` must.*Received: {name}="):
        SimilarityMatching(**settings)


def test_activities_that_it_cannot_take():
    with pytest.raises(ValueError, match=r"told the number of classes.*num_classes=None"):
        SimilarityMatching()(drawn((7, 5)), LABELS)
    with pytest.raises(ValueError, match=r"single unit or channel.*\(7, 3, 1\)"):
        headed((7, 3, 1))
    with pytest.raises(ValueError, match=r"up to three axes.*\(7, 2, 2, 2, 2, 3\)"):
        headed((7, 2, 2, 2, 2, 3))
    for labels in (np.array([0]), np.arange(4), np.zeros((7, 2), "int32")):
        with pytest.raises(ValueError, match=r"one label.*Received.*\(7, 5\)"):
            headless()(drawn((7, 5)), labels)


def test_where_it_is_found():
    assert keras_ff.losses.SimilarityMatching is SimilarityMatching
    assert SimilarityMatching not in keras_ff.losses.KNOWN.values()
