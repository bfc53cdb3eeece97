"""Readouts: scores against hand-made passes, which layers count, what the softmax head learns."""

import json

import keras
import numpy as np
import pytest
from either_backend import value_and_gradients
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import readouts
from keras_ff.layers import FFConv2D, FFDense

CLASSES = 3
FEATURES = 5
UNITS = (6, 4, 7)


def samples(count=8, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, FEATURES)).astype("float32"), rng.integers(0, CLASSES, count)


def model_with(readout, units=UNITS, **settings):
    """A compiled, built model; `layers_trained` is 0."""
    keras.utils.set_random_seed(3)
    model = keras_ff.FFModel(
        [FFDense(width, bias_initializer="normal") for width in units],
        CLASSES,
        readout=readout,
        **{"layer_schedule": "simultaneous", **settings},
    )
    model.compile(keras.optimizers.SGD(0.1), "symba", run_eagerly=True)
    model.build((None, FEATURES))
    return model


def normalised(rows):
    return rows / np.sqrt((rows**2).mean(axis=1, keepdims=True) + 1e-8)


def activities_by_hand(model, x, label_rows):
    """Activities of every layer in float64, for label rows of energy 1."""
    x = x.astype("float64").reshape(len(x), -1)
    length = np.sqrt(0.1 * (x**2).sum(axis=1, keepdims=True))
    rows = np.concatenate([x, length * label_rows], axis=1)
    found = []
    for layer in model.ff_layers:
        kernel, bias = (convert_to_numpy(weight) for weight in layer.transform.weights)
        rows = np.maximum(normalised(rows) @ kernel.astype("float64") + bias, 0.0)
        found.append(rows)
    return found


def goodness_by_hand(model, x):
    """Goodness (layers, batch, classes): one pass a class, one after the other."""
    passes = []
    for label in range(model.num_classes):
        activities = activities_by_hand(model, x, np.eye(model.num_classes)[[label] * len(x)])
        passes.append([(rows**2).mean(axis=1) for rows in activities])
    return np.transpose(passes, (1, 2, 0))


# --- Goodness ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "counted"),
    [
        ("all", [0, 1, 2]),
        (None, [0, 1, 2]),
        ([0], [0]),
        ([2], [2]),
        ([-1], [2]),
        ([1, 2], [1, 2]),
        ((-3, 1), [0, 1]),
        ([1, 1, -2], [1]),
    ],
    ids=str,
)
def test_scores_are_goodness_pass_by_pass(layers, counted):
    model = model_with(readouts.Goodness(layers=layers))
    x, _ = samples()
    scores = model(x)
    assert tuple(scores.shape) == (8, CLASSES)
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    expected = goodness_by_hand(model, x)[counted].sum(axis=0)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    np.testing.assert_allclose(model.predict(x, batch_size=3, verbose=0), expected, rtol=1e-4)


def test_scores_are_those_of_the_layers_passes_through_the_model():
    """The same, with the model's own embedding and layers, image by image and class by class."""
    model = keras_ff.FFModel(
        [
            keras_ff.layers.FFLayer(
                keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
                goodness=keras_ff.goodness.SumOfSquares(scale=0.5),
            ),
            FFDense(5),
        ],
        10,
        label_embedding="overlay",
    )
    x = np.random.default_rng(2).normal(size=(4, 6, 7, 2)).astype("float32")
    expected = np.zeros((4, 10))
    for row in range(4):
        for label in range(10):
            passed = model.label_embedding(x[row : row + 1], np.array([label]), 10)
            for layer in model.ff_layers:
                passed = layer(passed)
                expected[row, label] += float(layer.goodness(passed)[0])
    np.testing.assert_allclose(model(x), expected, rtol=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 12])
def test_any_number_of_classes(classes):
    model = keras_ff.FFModel([FFDense(6)], classes)
    x, _ = samples()
    model.build((None, FEATURES))
    scores = np.array(model(x))
    assert scores.shape == (8, classes)
    np.testing.assert_allclose(scores, goodness_by_hand(model, x).sum(axis=0), rtol=1e-4)


@pytest.mark.parametrize(
    ("layers", "trained", "counted"),
    [
        ("all", 0, [0, 1, 2]),  # nothing trained: all the same
        ("all", 1, [0]),
        ("all", 2, [0, 1]),
        ("all", 3, [0, 1, 2]),
        ([1, 2], 2, [1]),
        ([1, 2], 3, [1, 2]),
        ([2], 1, [0]),  # none of the chosen is trained: those that are
        ([2], 2, [0, 1]),
        ([2], 0, [2]),
    ],
    ids=str,
)
def test_untrained_layers_are_left_out(layers, trained, counted):
    model = model_with(readouts.Goodness(layers=layers))
    x, _ = samples()
    model(x)
    model.layers_trained.assign(trained)
    expected = goodness_by_hand(model, x)[counted].sum(axis=0)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4)


def test_under_greedy_scores_count_the_layers_that_have_learned():
    model = model_with("goodness", layer_schedule="greedy")
    x, y = samples()
    counts = []

    def look(epoch, logs):
        goodness = goodness_by_hand(model, x)
        scores = np.array(model(x))
        counts.append(
            [
                layers
                for layers in (1, 2, 3)
                if np.allclose(scores, goodness[:layers].sum(axis=0), rtol=1e-4)
            ]
        )

    callback = keras.callbacks.LambdaCallback(on_epoch_end=look)
    model.fit(x, y, epochs=4, verbose=0, callbacks=[callback])
    assert counts == [[1], [1], [2], [3]]


def test_scores_do_not_depend_on_the_rest_of_the_batch():
    model = model_with("goodness")
    x, _ = samples()
    other = x.copy()
    other[1:] = 100.0
    np.testing.assert_allclose(model(x)[0], model(other)[0], rtol=1e-6)
    np.testing.assert_allclose(model(x)[0], model(x[:1])[0], rtol=1e-6)


# --- Softmax -------------------------------------------------------------------------------------


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
    np.testing.assert_allclose(model.readout.features(model, x), expected, rtol=1e-3, atol=1e-5)
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
    features = features_by_hand(model, x, [1, 2])
    logits = features @ kernel
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    errors = (probabilities - np.eye(CLASSES)[y]) * weights[:, None] / 8
    before, loss = readout.train_step(model, x, y, weights if weighted else None)
    np.testing.assert_allclose(before, logits, rtol=1e-3, atol=1e-4)
    entropies = -np.log(probabilities[np.arange(8), y]) * weights
    np.testing.assert_allclose(loss, entropies.mean() + 0.1 * (kernel**2).sum(), rtol=1e-4)
    expected = kernel - 0.5 * (features.T @ errors + 2 * 0.1 * kernel)
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
        logits = model.readout.scores(model, x)
        return keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)

    _, gradients = value_and_gradients(losses, *layers, *model.readout.trainable_weights)
    assert gradients[:6] == [None] * len(layers)
    assert min(np.abs(part).max() for part in gradients[6:]) > 1e-2


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
        model.readout.train_step(model, x, y)
    assert np.mean(np.argmax(model(x), axis=1) == y) > 0.9


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
    features = np.array(model.readout.features(model, x))
    for place, index in enumerate(chosen):
        part = features[:, ends[place] : ends[place + 1]]
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


# --- mirror images -------------------------------------------------------------------------------


def image_model(kind, readout):
    """Two convolutions for images of 6 x 5 pixels, which do not learn but count as trained."""
    keras.utils.set_random_seed(3)
    parts, goodness = {"label_embedding": "overlay"}, {}
    if kind == "class groups":
        parts = {"label_embedding": None, "negatives": None}
        goodness = {"goodness": "class_groups"}
    model = keras_ff.FFModel(
        [FFConv2D(6, 3, activation="tanh", **goodness) for _ in range(2)],
        CLASSES,
        layer_schedule="simultaneous",
        readout=readout,
        **parts,
    )
    model.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"])
    return model


@pytest.mark.parametrize("kind", ["contrastive", "class groups"])
@pytest.mark.parametrize("layers", ["all", "validation"])
def test_goodness_of_mirror_images_is_added(kind, layers):
    x = np.random.default_rng(1).normal(size=(60, 6, 5, 1)).astype("float32")
    y = np.arange(60) % CLASSES
    mirrored = image_model(kind, readouts.Goodness(layers, mirrored=True))
    mirrored.fit(x, y, validation_data=(x, y), verbose=0)
    plain = image_model(kind, readouts.Goodness())
    plain.fit(x, y, verbose=0)
    plain.set_weights([*plain.get_weights()[:1], *mirrored.get_weights()[-4:]])

    views = [plain.readout.of_layers(plain, view) for view in (x, x[:, :, ::-1])]
    upright, turned = np.array([[convert_to_numpy(one) for one in view] for view in views])
    goodness = upright + turned
    counted = slice(None)
    if layers == "validation":
        # Chosen by what layers score on both images.
        hits = {
            (first, end): (goodness[first:end].sum(axis=0).argmax(axis=1) == y).sum()
            for first, end in ((0, 1), (1, 2), (0, 2))
        }
        assert list(hits.values()).count(max(hits.values())) == 1
        counted = slice(*max(hits, key=hits.get))
    expected = goodness[counted].sum(axis=0)
    assert np.abs(upright - turned)[counted].max() > 0.01
    np.testing.assert_allclose(mirrored(x), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(mirrored.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-4)
    found = mirrored.evaluate(x, y, verbose=0, return_dict=True)
    answers = expected.argmax(axis=1)
    assert found["accuracy"] == pytest.approx((answers == y).mean())
    assert (answers != upright[counted].sum(axis=0).argmax(axis=1)).any()


def test_only_images_can_be_mirrored():
    with pytest.raises(ValueError, match=r"needs images.*Received: samples of shape \(5,\)"):
        model_with(readouts.Goodness(mirrored=True))
    with pytest.raises(ValueError, match="must be a boolean"):
        readouts.Goodness(mirrored=2)


# --- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", readouts.KNOWN)
def test_get(name):
    readout = readouts.get(name)
    assert type(readout) is readouts.KNOWN[name]
    assert readouts.get(readout) is readout


READOUTS = {
    **readouts.KNOWN,
    "goodness of some": lambda: readouts.Goodness(layers=[0, -1]),
    "softmax of all": lambda: readouts.Softmax(layers="all", name="head_of_all"),
    "softmax of some": lambda: readouts.Softmax(
        layers=[0, 1],
        optimizer=keras.optimizers.Adam(0.03),
        kernel_regularizer=keras.regularizers.L2(0.2),
    ),
}


@pytest.mark.parametrize("name", READOUTS)
def test_round_trip(name):
    readout = READOUTS[name]()
    serialised = keras.saving.serialize_keras_object(readout)
    x, y = samples()
    model = model_with(readout)
    model.train_on_batch(x, y)
    for copy in (
        type(readout).from_config(readout.get_config()),
        keras.saving.deserialize_keras_object(json.loads(json.dumps(serialised))),
        readouts.get(serialised),
    ):
        assert type(copy) is type(readout)
        assert copy.layers == readout.layers
        assert json.dumps(copy.get_config()) == json.dumps(readout.get_config())
        other = model_with(copy)
        other.set_weights(model.get_weights())
        np.testing.assert_array_equal(other(x), model(x))
        if isinstance(copy, readouts.Softmax):
            assert type(copy.optimizer) is type(readout.optimizer)
            assert copy.optimizer.get_config() == readout.optimizer.get_config()
        if name == "softmax of some":
            assert float(copy.kernel_regularizer.l2) == pytest.approx(0.2)
            assert float(copy.optimizer.learning_rate) == pytest.approx(0.03)
