"""The local classifier proxy: a linear head with the interface of class groups."""

import keras
import numpy as np
import pytest

from keras_ff import goodness, losses
from keras_ff.goodness import LocalClassifier
from tests.helpers import drawn
from tests.helpers.either_backend import value_and_gradients

SHAPES = [(4, 12), (4, 5, 3, 2), (3, 7, 4)]


def made(shape, num_classes=3, **settings):
    """A classifier whose bias is not zero."""
    part = LocalClassifier(**settings)
    part.build_for((None, *shape[1:]), num_classes)
    part.head.bias.assign(drawn(num_classes, seed=5))
    return part


def by_hand(activities, kernel, bias):
    rows = np.asarray(activities, "float64").reshape(len(activities), -1)
    rows = rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + 1e-8)
    return rows @ np.asarray(kernel, "float64") + np.asarray(bias, "float64")


def cross_entropy(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    return (np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_formula(shape):
    part, activities = made(shape), 3 * drawn(shape) + 1
    logits = np.asarray(part(activities, 3))
    assert logits.shape == (shape[0], 3)
    assert logits.dtype == "float32"
    kernel, bias = part.head.kernel, part.head.bias
    assert kernel.shape == (np.prod(shape[1:]), 3)
    np.testing.assert_allclose(logits, by_hand(activities, kernel, bias), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("regions", "windows"), [(1, (4, 6)), (2, (2, 3)), (9, (1, 1))])
def test_averages_of_regions(regions, windows):
    part, activities = made((3, 4, 6, 5), regions=regions), drawn((3, 4, 6, 5))
    rows, columns = windows
    kernel, bias = part.head.kernel, part.head.bias
    assert kernel.shape == (24 // (rows * columns) * 5, 3)
    length = np.sqrt((activities.astype("float64") ** 2).mean(axis=(1, 2, 3), keepdims=True))
    blocks = (activities / length).reshape(3, 4 // rows, rows, 6 // columns, columns, 5)
    averages = blocks.mean(axis=(2, 4)).reshape(3, -1)
    expected = averages @ np.asarray(kernel, "float64") + np.asarray(bias, "float64")
    np.testing.assert_allclose(part(activities), expected, rtol=1e-4, atol=1e-5)


def test_without_positions_there_is_nothing_to_average():
    part, activities = made((4, 6), regions=2), drawn((4, 6))
    expected = by_hand(activities, part.head.kernel, part.head.bias)
    np.testing.assert_allclose(part(activities), expected, rtol=1e-5, atol=1e-5)
    for wrong in (0, 1.5, "all"):
        with pytest.raises(ValueError, match=r"`regions` must.*Received: regions="):
            LocalClassifier(regions=wrong)


def test_the_length_of_the_activities_tells_nothing():
    part, activities = made((4, 6)), drawn((4, 6))
    logits = np.asarray(part(activities))
    longer = activities * np.array([[0.1], [3], [100], [7]], "float32")
    np.testing.assert_allclose(part(longer), logits, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(part(np.zeros((1, 6)))[0], part.head.bias)


def test_gradients_by_activities_and_head_are_those_of_finite_differences():
    shape, labels = (4, 3, 2), np.array([0, 2, 1, 1])
    part, activities = made(shape), drawn((4, 3, 2))
    sources = [activities, part.head.kernel, part.head.bias]
    loss, gradients = value_and_gradients(
        lambda tensor: keras.ops.mean(losses.ClassLoss()(labels, part(tensor))), *sources
    )
    points = [np.asarray(source, "float64") for source in sources]
    assert float(loss) == pytest.approx(cross_entropy(by_hand(*points), labels), rel=1e-5)
    for which, point in enumerate(points):
        numeric = np.zeros(point.shape)
        for place in np.ndindex(point.shape):
            values = []
            for step in (1e-5, -1e-5):
                moved = [source.copy() for source in points]
                moved[which][place] += step
                values.append(cross_entropy(by_hand(*moved), labels))
            numeric[place] = (values[0] - values[1]) / 2e-5
        assert np.abs(numeric).max() > 1e-2
        np.testing.assert_allclose(gradients[which], numeric, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16"])
def test_float32_under_every_policy(policy):
    activities = keras.ops.cast(drawn((3, 300)), "bfloat16")
    plain = made((3, 300))
    expected = np.asarray(plain(keras.ops.cast(activities, "float32")))
    keras.config.set_dtype_policy(policy)
    part = made((3, 300))
    for weight, source in zip(part.weights, plain.weights, strict=True):
        assert weight.dtype == "float32"
        weight.assign(source)
    logits = part(activities)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-6)


# --- the interface of class groups -------------------------------------------------------------


def test_what_a_layer_asks_of_its_goodness():
    part = goodness.get("local_classifier")
    assert type(part) is LocalClassifier
    assert goodness.get(part) is part
    assert part.per_class
    assert part.unit((None, 4, 5)) == 1.0
    assert part.locality == 1
    # No width is wrong, whatever the number of classes.
    part.check((None, 25), 10)
    part.build_for((None, 25), 10)
    assert len(part.trainable_weights) == 2
    assert part.num_classes == 10


def test_building_again_keeps_the_head():
    part = LocalClassifier()
    part.build_for((None, 6), 3)
    kernel = part.head.kernel
    part.build_for((None, 6), 3)
    part(drawn((2, 6)))
    assert part.head.kernel is kernel
    assert len(part.weights) == 2


@pytest.mark.parametrize("told", ["in the constructor", "in the call"])
def test_built_by_its_first_call(told):
    if told == "in the call":
        logits = LocalClassifier()(drawn((2, 3, 4)), num_classes=5)
    else:
        logits = LocalClassifier(num_classes=5)(drawn((2, 3, 4)))
    assert logits.shape == (2, 5)


def test_a_number_of_classes_is_needed():
    for ask in (
        lambda: LocalClassifier()(drawn((2, 4))),
        lambda: LocalClassifier().build((None, 4)),
        lambda: LocalClassifier().build_for((None, 4), None),
        lambda: LocalClassifier().check((None, 4), None),
    ):
        with pytest.raises(ValueError, match=r"told the number of classes.*Received"):
            ask()
    for wrong in (0, 2.5, "ten"):
        with pytest.raises(ValueError, match=r"num_classes.*Received"):
            LocalClassifier(num_classes=wrong)


def test_one_head_serves_one_number_of_classes_and_one_shape():
    part = made((4, 6), 3)
    with pytest.raises(ValueError, match=r"built for 3 classes\. Received: num_classes=4"):
        part(drawn((2, 6)), num_classes=4)
    with pytest.raises(ValueError, match=r"built for 3 classes\. Received: num_classes=4"):
        part.build_for((None, 6), 4)
    with pytest.raises(ValueError, match=r"known shape.*\(None, None, 4\)"):
        LocalClassifier(num_classes=3).build((None, None, 4))


# --- weights and configuration -----------------------------------------------------------------


def test_initializer_and_regularizer():
    part = made((4, 5), kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.5))
    np.testing.assert_array_equal(part.head.kernel, np.ones((5, 3)))
    (penalty,) = part.losses
    assert float(penalty) == pytest.approx(0.5 * 15)


@pytest.mark.slow
def test_it_learns():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    x = (rng.normal(size=(60, 8)) + 2 * np.eye(3, 8)[labels]).astype("float32")
    part, optimizer, seen = LocalClassifier(), keras.optimizers.Adam(0.1), []
    part.build_for((None, 8), 3)
    for _ in range(30):
        loss, gradients = value_and_gradients(
            lambda: keras.ops.mean(losses.ClassLoss()(labels, part(x))), *part.trainable_weights
        )
        optimizer.apply(gradients, part.trainable_weights)
        seen.append(float(loss))
    assert (np.asarray(part(x)).argmax(axis=1) == labels).mean() > 0.85
    assert seen[-1] < 0.5 < seen[0]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {
            "kernel_initializer": keras.initializers.HeNormal(seed=3),
            "kernel_regularizer": keras.regularizers.L2(0.1),
            "num_classes": 4,
            "regions": 2,
        },
    ],
    ids=["default", "all"],
)
@pytest.mark.parametrize("built", [False, True])
def test_round_trip(settings, built):
    part, activities = LocalClassifier(**settings), drawn((2, 3, 5))
    if built:
        part.build_for(activities.shape, 4)
    serialised = keras.saving.serialize_keras_object(part)
    for copy in (
        LocalClassifier.from_config(part.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        goodness.get(serialised),
    ):
        assert type(copy) is LocalClassifier
        assert copy.get_config() == part.get_config()
        copy.build_for(activities.shape, 4)
        assert len(copy.weights) == 2
        if built:
            copy.set_weights(part.get_weights())
            np.testing.assert_array_equal(copy(activities), part(activities))


def test_saved_and_loaded(tmp_path):
    model = keras.Sequential([keras.Input((5,)), made((2, 5), name="classifier")])
    x = drawn((4, 5))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
