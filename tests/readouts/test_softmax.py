"""The softmax readout: what its head sees and learns."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import readouts
from keras_ff.layers import FFDense
from tests.helpers.either_backend import value_and_gradients
from tests.helpers.readouts import (
    CLASSES,
    FEATURES,
    UNITS,
    VIEWS,
    activities_by_hand,
    features,
    head_step,
    image_model,
    model_with,
    normalised,
    samples,
)


def features_by_hand(model, x, chosen):
    neutral = np.full((len(x), CLASSES), 1 / np.sqrt(CLASSES))
    activities = activities_by_hand(model, x, neutral)
    return np.concatenate([normalised(activities[index]) for index in chosen], axis=1)


CHOICES = [
    (None, UNITS, [1, 2]),
    (None, (6,), [0]),
    ("all", UNITS, [0, 1, 2]),
    ([0, -1], UNITS, [0, 2]),
]


@pytest.mark.parametrize(("layers", "units", "chosen"), CHOICES, ids=str)
def test_logits_are_linear_in_normalised_activities_of_one_neutral_pass(layers, units, chosen):
    model = model_with(readouts.Softmax(layers=layers), units)
    x, _ = samples()
    expected = features_by_hand(model, x, chosen)
    np.testing.assert_allclose(features(model, x), expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(model(x), 0.0)  # the head starts at zero
    weights = np.random.default_rng(4).normal(size=(expected.shape[1], CLASSES))
    model.readout.head.kernel.assign(weights)
    model.readout.head.bias.assign([0.5, -1.0, 2.0])
    scores = model(x)
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    np.testing.assert_allclose(scores, expected @ weights + [0.5, -1.0, 2.0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_step_of_the_head_is_that_of_softmax_regression(weighted):
    readout = readouts.Softmax(
        optimizer=keras.optimizers.SGD(0.5), kernel_regularizer=keras.regularizers.L2(0.1)
    )
    model = model_with(readout)
    x, y = samples()
    kernel = np.random.default_rng(4).normal(size=(UNITS[1] + UNITS[2], CLASSES))
    readout.head.kernel.assign(kernel)
    weights = np.array([0.0, 1.0, 2.0, 0.5, 1.0, 1.0, 3.0, 0.0]) if weighted else np.ones(8)
    seen = features_by_hand(model, x, [1, 2])
    logits = seen @ kernel
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    errors = (probabilities - np.eye(CLASSES)[y]) * weights[:, None] / 8
    before, loss = head_step(model, x, y, weights if weighted else None)
    np.testing.assert_allclose(before, logits, rtol=1e-3, atol=1e-4)
    entropies = -np.log(probabilities[np.arange(8), y]) * weights
    np.testing.assert_allclose(loss, entropies.mean() + 0.1 * (kernel**2).sum(), rtol=1e-4)
    expected = kernel - 0.5 * (seen.T @ errors + 2 * 0.1 * kernel)
    np.testing.assert_allclose(
        convert_to_numpy(readout.head.kernel), expected, rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(
        convert_to_numpy(readout.head.bias), -0.5 * errors.sum(axis=0), rtol=1e-3, atol=1e-5
    )


def test_no_gradient_of_the_head_reaches_a_layer():
    model = model_with("softmax")
    x, y = samples()
    model.readout.head.kernel.assign(np.random.default_rng(4).normal(size=(11, CLASSES)))
    layers = [weight for layer in model.ff_layers for weight in layer.trainable_weights]

    def losses():
        logits = model.scores(x)
        return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)

    _, gradients = value_and_gradients(losses, *layers, *model.readout.trainable_weights)
    assert gradients[:6] == [None] * len(layers)
    assert min(np.abs(part).max() for part in gradients[6:]) > 1e-2


@pytest.mark.slow
def test_beside_a_softmax_head_layers_learn_as_without_it():
    x, y = samples()
    y = y % 2
    trained = []
    for readout in ("goodness", "softmax"):
        model = keras_ff.FFModel(
            [
                FFDense(4, kernel_initializer=keras.initializers.GlorotNormal(seed=k))
                for k in (1, 2)
            ],
            2,  # the one wrong label: nothing is drawn
            readout=readout,
            layer_schedule="simultaneous",
        )
        model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
        for _ in range(3):
            model.train_on_batch(x, y)
        trained.append([layer.get_weights() for layer in model.ff_layers])
    for one, other in zip(*trained, strict=True):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_array_equal(first, second)
    assert np.abs(convert_to_numpy(model.readout.head.kernel)).max() > 1e-3


def test_the_head_learns_to_classify():
    rng = np.random.default_rng(5)
    y = np.arange(90) % CLASSES
    x = (rng.normal(size=(90, FEATURES)) + 3.0 * np.eye(FEATURES)[y]).astype("float32")
    model = model_with(readouts.Softmax(optimizer=keras.optimizers.Adam(0.1)), (30, 30))
    for _ in range(30):
        head_step(model, x, y)
    assert np.mean(np.argmax(model(x), axis=1) == y) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layers", "trained", "silent"),
    [
        ("all", 0, []),
        ("all", 1, [1, 2]),
        ("all", 2, [2]),
        ([1, 2], 2, [2]),
        (None, 3, []),
    ],
    ids=str,
)
def test_features_of_untrained_layers_are_zero(layers, trained, silent):
    model = model_with(readouts.Softmax(layers=layers))
    x, _ = samples()
    model(x)
    model.layers_trained.assign(trained)
    chosen = [0, 1, 2] if layers == "all" else [1, 2]
    ends = np.cumsum([0, *(UNITS[index] for index in chosen)])
    rows = np.array(features(model, x))
    for place, index in enumerate(chosen):
        part = rows[:, ends[place] : ends[place + 1]]
        assert (np.abs(part).max() == 0) == (index in silent)


def test_the_head_has_an_optimizer_of_its_own():
    model = model_with("softmax")
    others = [layer.optimizer for layer in model.ff_layers]
    assert all(model.readout.optimizer is not other for other in others)
    assert isinstance(model.readout.optimizer, keras.optimizers.SGD)
    assert float(model.readout.optimizer.learning_rate) == pytest.approx(0.1)
    own = model_with(readouts.Softmax(optimizer=keras.optimizers.Adam(0.02)))
    assert isinstance(own.readout.optimizer, keras.optimizers.Adam)
    assert float(own.readout.optimizer.learning_rate) == pytest.approx(0.02)


def test_the_readout_of_a_frozen_stack_learns_on():
    """Layers that are done stay bit-identical while the head goes on."""
    model = model_with("softmax")
    x, y = samples()
    model.train_on_batch(x, y)
    for layer in model.ff_layers:
        layer.trainable = False
    before = [layer.get_weights() for layer in model.ff_layers]
    kernel = convert_to_numpy(model.readout.head.kernel)
    model.train_on_batch(x, y)
    for old, layer in zip(before, model.ff_layers, strict=True):
        for first, second in zip(old, layer.get_weights(), strict=True):
            np.testing.assert_array_equal(first, second)
    assert np.abs(convert_to_numpy(model.readout.head.kernel) - kernel).max() > 1e-4


def image_activities(model, x):
    """Activities of the two convolutions of `image_model`, by the layers themselves."""
    found, passed = [], x
    for layer in model.ff_layers:
        passed = layer(passed)
        found.append(convert_to_numpy(passed).astype("float64"))
    return found


def averages_by_hand(activities, regions):
    """Averages of 6 x 5 positions, region by region, then channel by channel."""
    down, across = -(-6 // regions), -(-5 // regions)
    parts = [
        activities[:, top : top + down, left : left + across].mean(axis=(1, 2))
        for top in range(0, 6, down)
        for left in range(0, 5, across)
    ]
    return np.concatenate(parts, axis=1)


def images(count=30):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, 6, 5, 1)).astype("float32")
    return x, np.arange(count) % CLASSES


def with_drawn_head(model):
    """The weights of a head that is no longer zero, as arrays."""
    rng = np.random.default_rng(4)
    kernel = rng.normal(size=model.readout.head.kernel.shape)
    bias = rng.normal(size=CLASSES)
    model.readout.head.kernel.assign(kernel)
    model.readout.head.bias.assign(bias)
    return kernel, bias


@pytest.mark.slow
@pytest.mark.parametrize(("regions", "seen"), [(1, 1), (2, 4), (3, 9), (6, 30), (9, 30)])
def test_the_head_sees_averages_over_regions(regions, seen):
    model = image_model("class groups", readouts.Softmax("all", regions=regions))
    x, _ = images()
    model.build(x.shape)
    rows = [normalised(averages_by_hand(each, regions)) for each in image_activities(model, x)]
    expected = np.concatenate(rows, axis=1)
    assert expected.shape == (30, 2 * 6 * seen)
    assert model.readout.num_features == [6 * seen, 6 * seen]
    np.testing.assert_allclose(features(model, x), expected, rtol=1e-3, atol=1e-4)
    kernel, bias = with_drawn_head(model)
    np.testing.assert_allclose(model(x), expected @ kernel + bias, rtol=1e-3, atol=1e-3)


def test_regions_leave_layers_without_positions_as_they_are():
    model = model_with(readouts.Softmax(layers="all", regions=2))
    x, _ = samples()
    expected = features_by_hand(model, x, [0, 1, 2])
    np.testing.assert_allclose(features(model, x), expected, rtol=1e-3, atol=1e-5)


def test_standardized_by_the_batch_in_training_and_by_moving_averages_afterwards():
    readout = readouts.Softmax(
        "all", optimizer=keras.optimizers.SGD(0.5), regions=1, standardized=True
    )
    model = image_model("class groups", readout)
    x, y = images()
    model.build(x.shape)
    kernel, bias = with_drawn_head(model)
    rows = [normalised(averages_by_hand(each, 1)) for each in image_activities(model, x)]
    rows = np.concatenate(rows, axis=1)
    mean, variance = rows.mean(axis=0), rows.var(axis=0)
    standardized = (rows - mean) / np.sqrt(variance + 1e-3)
    logits = standardized @ kernel + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    errors = (probabilities - np.eye(CLASSES)[y]) / 30
    before, _ = head_step(model, x, y)
    np.testing.assert_allclose(before, logits, rtol=1e-3, atol=1e-3)
    kernel = kernel - 0.5 * standardized.T @ errors
    found = convert_to_numpy(readout.head.kernel)
    np.testing.assert_allclose(found, kernel, rtol=1e-3, atol=1e-4)

    # Of a moving average that began at mean 0 and variance 1, a tenth is new.
    later = (rows - 0.1 * mean) / np.sqrt(0.9 + 0.1 * variance + 1e-3)
    bias = convert_to_numpy(readout.head.bias)
    np.testing.assert_allclose(model(x), later @ kernel + bias, rtol=1e-3, atol=1e-3)
    moments = [convert_to_numpy(weight) for weight in readout.standardization.weights]
    model.predict(x, verbose=0)
    for old, weight in zip(moments, readout.standardization.weights, strict=True):
        np.testing.assert_array_equal(old, convert_to_numpy(weight))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"regions": 1, "standardized": True}, {}], ids=str)
@pytest.mark.parametrize("views", VIEWS)
def test_logits_of_other_views_are_averaged(options, views):
    views, views_of = VIEWS[views]
    readout = readouts.Softmax("all", optimizer=keras.optimizers.SGD(0.5), **options)
    model = image_model("class groups", readout)
    x, y = images()
    model.fit(x, y, verbose=0)
    plain, upright = model(x), features(model, x)
    looking = image_model("class groups", readouts.Softmax("all", **views, **options))
    looking.build(x.shape)
    looking.set_weights(model.get_weights())
    expected = np.mean([convert_to_numpy(model(view)) for view in views_of(x)], axis=0)
    assert np.abs(expected - convert_to_numpy(plain)).max() > 0.01
    np.testing.assert_allclose(looking(x), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(looking.predict(x, verbose=0), expected, rtol=1e-3, atol=1e-4)
    accuracy = looking.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx((expected.argmax(axis=1) == y).mean())
    # It learns from images as they come.
    if not options:
        learns_from = features(looking, x)
        np.testing.assert_allclose(learns_from, upright, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_the_head_alone_learns_on_frozen_images(tmp_path):
    """`fit_readout` leaves the layers as they are, and what it learnt is saved."""
    readout = readouts.Softmax(
        "all", keras.optimizers.Adam(0.1), regions=1, standardized=True, mirrored=True
    )
    model = image_model("class groups", readout)
    x, y = images(60)
    # A row, a column, or neither, which mirror images have as well.
    x[y == 0, 2] += 4.0
    x[y == 1, :, 2] += 4.0
    model.build(x.shape)
    layers = [weight for layer in model.ff_layers for weight in layer.get_weights()]
    history = model.fit_readout(x, y, epochs=25, batch_size=20, validation_data=(x, y), verbose=0)
    after = [weight for layer in model.ff_layers for weight in layer.get_weights()]
    for old, new in zip(layers, after, strict=True):
        np.testing.assert_array_equal(old, new)
    assert history.history["loss"][-1] < 0.7 * history.history["loss"][0]
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.8
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(("name", "value"), [("regions", 0), ("regions", 1.5), ("standardized", 1)])
def test_wrong_arguments_of_the_head(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}={value}"):
        readouts.Softmax(**{name: value})
