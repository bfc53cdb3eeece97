"""From a Forward-Forward network to backpropagation and back, for every kind of stack."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.goodness import SumOfSquares
from keras_ff.labels import LabelMap, TokenLabels
from keras_ff.layers import (
    FFAttention,
    FFConv2D,
    FFDense,
    FFLayer,
    FFLocallyConnected2D,
    FFResidual,
    LengthNormalization,
    Opaque,
)
from keras_ff.losses import Logistic
from tests.helpers import activities_of, drawn, mostly_slow
from tests.helpers.either_backend import value_and_gradients

CLASSES = 2
SHAPE = (12, 6, 6, 1)


@keras.saving.register_keras_serializable(package="test_hybrids")
def quantised(array):
    return np.round(2 * array) / 2


def labels():
    return np.arange(SHAPE[0]) % CLASSES


def convolution(filters=4, **settings):
    return keras.layers.Conv2D(filters, 3, padding="same", **settings)


def residual():
    groups = {"goodness": "class_groups", "activation": "relu", "normalization": "class_groups"}
    return [
        FFLayer(convolution(), goodness="class_groups", activation="relu"),
        FFResidual(convolution(), **groups),
        FFResidual(convolution(), merge="class_groups", span=2, **groups),
        FFResidual(convolution(6), merge="concatenate", **groups),
        FFDense(4, goodness="class_groups"),
    ]


def between():
    return [
        keras.layers.ZeroPadding2D(1),
        FFConv2D(4, goodness="class_groups"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Dropout(0.5),
        FFConv2D(4, goodness="class_groups", normalization="batch"),
        keras.layers.BatchNormalization(),
        keras.layers.Flatten(),
        FFDense(4, goodness="class_groups", normalization="layer"),
    ]


def batch_normalized():
    transform = keras.Sequential([convolution(use_bias=False), keras.layers.BatchNormalization()])
    return [
        FFLayer(transform, activation="relu", goodness="class_groups", normalization="batch"),
        FFDense(4, activation="tanh", goodness="class_groups", normalization="batch"),
    ]


def attention():
    return [FFAttention(2, 4, patch_size=3), FFAttention(1, 4), FFDense(5)]


GROUPS = {"label_embedding": None, "negatives": None}
IMAGES = {"label_embedding": None, "readout": "softmax"}
STACKS = {
    "residual": (residual, GROUPS),
    "between": (between, GROUPS),
    "batch normalization": (batch_normalized, GROUPS),
    "opaque": (
        lambda: [
            FFDense(4, goodness="class_groups"),
            Opaque(quantised),
            FFDense(4, goodness="class_groups"),
        ],
        GROUPS,
    ),
    "attention": (attention, {**IMAGES, "negatives": "hybrid_images"}),
    "append": (lambda: [FFDense(5, normalization="batch"), FFDense(4)], {}),
    # Four units of ReLU, behind others, may all fall silent in a few steps.
    "overlay": (
        lambda: [FFConv2D(4), FFDense(4, activation="tanh")],
        {"label_embedding": "overlay"},
    ),
    "label map": (
        lambda: [
            FFLocallyConnected2D(3, 3, normalization="batch"),
            FFDense(4, activation="tanh"),
        ],
        {"label_embedding": LabelMap(seed=1)},
    ),
    "tokens": (lambda: [FFAttention(1, 4), FFDense(4)], {"label_embedding": TokenLabels(3)}),
    "two views": (
        lambda: [FFConv2D(4), FFResidual(convolution(), activation="relu"), FFDense(5)],
        {**IMAGES, "negatives": "two_views"},
    ),
}


def model_of(layers, shape=SHAPE, loss=None, build=True, **settings):
    model = keras_ff.FFModel(layers, CLASSES, layer_schedule="simultaneous", **settings)
    model.compile(keras.optimizers.SGD(0.05), loss, run_eagerly=True)
    if build:
        model.build((None, *shape[1:]))
    return model


def made(name):
    make, settings = STACKS[name]
    return model_of(make(), **settings)


def in_network(network, model):
    """The network's own layers that stand for the model's, by their names."""
    return [network.get_layer(layer.name) for layer in model.all_layers]


def ff_outputs(network, model, x):
    """Activities of the FF layers within the network."""
    tensors = [network.get_layer(layer.name).output for layer in model.ff_layers]
    answers = keras.Model(network.input, tensors)(x, training=False)
    return answers if isinstance(answers, list) else [answers]


def randomised(network, seed=5):
    """Stands for training: other weights, statistics included, of other lengths."""
    generator = np.random.default_rng(seed)
    for weight in network.weights:
        value = convert_to_numpy(weight)
        noise = generator.normal(size=value.shape) * 0.3
        positive = "variance" in weight.path
        weight.assign(1.7 * value + (np.abs(noise) if positive else noise))


# --- to backpropagation --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", STACKS)
def test_it_is_the_same_network(name):
    """After some steps, so that statistics are not what they start from."""
    model = made(name)
    x, y = drawn(SHAPE), labels()
    for _ in range(2):
        model.train_on_batch(x, y)
    network = model.to_backprop()
    expected = activities_of(model, model.streams.embed(x, None))
    for found, activities in zip(ff_outputs(network, model, x), expected, strict=True):
        assert np.abs(activities).max() > 1e-3
        np.testing.assert_allclose(found, activities, rtol=1e-4, atol=1e-5)
    # The head knows nothing yet; what the layers know, it leaves alone.
    np.testing.assert_allclose(network(x), np.full((12, CLASSES), 1 / CLASSES), rtol=1e-6)
    own = {id(weight) for weight in model.variables}
    assert not own & {id(weight) for weight in network.variables}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STACKS if name != "opaque"])
def test_gradients_reach_every_layer(name):
    model = made(name)
    x, y = drawn(SHAPE), labels()
    network = model.to_backprop(carry_weights=False)
    kernels = [network.get_layer(layer.name).trainable_weights[-2] for layer in model.ff_layers]

    def loss():
        losses = keras.losses.sparse_categorical_crossentropy(y, network(x, training=True))
        return ops.mean(losses)

    for gradient in value_and_gradients(loss, *kernels)[1]:
        assert np.abs(gradient).max() > 1e-6
    network.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    before = network.get_weights()
    network.train_on_batch(x, y)
    assert any(np.any(one != two) for one, two in zip(before, network.get_weights(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", STACKS)
def test_the_network_is_saved_and_loaded(name, tmp_path):
    network = made(name).to_backprop()
    randomised(network)
    network.save(tmp_path / "network.keras")
    loaded = keras.saving.load_model(tmp_path / "network.keras")
    x = drawn(SHAPE)
    np.testing.assert_allclose(network(x), loaded(x), rtol=1e-5)


def test_functions_need_no_name_to_stand_in_the_network():
    """It is not saved here."""
    layers = [
        FFDense(4, goodness="class_groups"),
        Opaque(np.sign),
        FFDense(4, goodness="class_groups"),
    ]
    model = model_of(layers, **GROUPS)
    network = model.to_backprop()
    x = drawn(SHAPE)
    expected = activities_of(model, model.streams.embed(x, None))
    for found, activities in zip(ff_outputs(network, model, x), expected, strict=True):
        np.testing.assert_allclose(found, activities, rtol=1e-4, atol=1e-5)


def test_the_label_map_of_the_network_does_not_learn():
    """It shows every sample the same neutral label, of the model's maps."""
    model = made("label map")
    network = model.to_backprop(carry_weights=False)
    neutral_label = network.layers[1]
    maps = convert_to_numpy(neutral_label.label_embedding.maps)
    np.testing.assert_array_equal(maps, model.label_embedding.maps)
    network.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    network.train_on_batch(drawn(SHAPE), labels())
    np.testing.assert_array_equal(maps, neutral_label.label_embedding.maps)
    np.testing.assert_array_equal(maps, model.label_embedding.maps)


def test_images_without_channels_under_a_label_map():
    x = drawn((12, 6, 6))
    model = model_of([FFConv2D(3), FFDense(4)], x.shape, label_embedding=LabelMap(seed=1))
    assert model.predict(x, verbose=0).shape == (12, CLASSES)
    network = model.to_backprop()
    assert network.output_shape == (None, CLASSES)
    np.testing.assert_allclose(network(x), np.full((12, CLASSES), 0.5), rtol=1e-6)


@pytest.mark.slow
def test_under_mixed_bfloat16():
    """The head computes in float32."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = made("residual")
    network = model.to_backprop()
    scores = network(drawn(SHAPE))
    assert keras.backend.standardize_dtype(scores.dtype) == "float32"
    expected = activities_of(model, model.streams.embed(drawn(SHAPE), None))
    for found, activities in zip(ff_outputs(network, model, drawn(SHAPE)), expected, strict=True):
        assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
        found, activities = (ops.cast(each, "float32") for each in (found, activities))
        np.testing.assert_allclose(found, activities, atol=0.02 * np.abs(activities).max())


def test_names_of_the_models_layers_are_free():
    """Those that the network adds keep out of their way, in a session that is new, too."""
    layers = [
        FFConv2D(4, name="head", goodness="class_groups"),
        LengthNormalization(name="length_normalization"),
        keras.layers.Flatten(name="flatten"),
        FFResidual(
            keras.layers.Dense(144),
            activation="relu",
            goodness="class_groups",
            name="ff_residual",
        ),
    ]
    model = model_of(layers, **GROUPS)
    keras.utils.clear_session(free_memory=False)
    network = model.to_backprop()
    assert network.output_shape == (None, CLASSES)
    x = drawn(SHAPE)
    expected = activities_of(model, model.streams.embed(x, None))
    for found, activities in zip(ff_outputs(network, model, x), expected, strict=True):
        np.testing.assert_allclose(found, activities, rtol=1e-4, atol=1e-5)


# --- and back ------------------------------------------------------------------------------------


def proportional(one, other):
    """Whether two arrays differ by a factor above zero and no more."""
    one, other = one.ravel().astype("float64"), other.ravel().astype("float64")
    factor = one @ other / max(one @ one, 1e-12)
    size = max(np.abs(other).max(), 1e-6)
    return (factor > 0 or not one.any()) and np.abs(factor * one - other).max() < 1e-5 * size


def way_of_the_data(layer):
    """Weights of a layer, without those of its objective and of a label embedding."""
    if not isinstance(layer, FFLayer):
        return layer.get_weights()
    normalization = [] if layer.normalization is None else layer.normalization.get_weights()
    return [*normalization, *layer.transform.get_weights()]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in STACKS if STACKS[name][1] is GROUPS])
def test_class_groups_come_back_as_they_are(name):
    model = made(name)
    network = model.to_backprop()
    randomised(network)
    x, y = drawn(SHAPE), labels()
    expected = ff_outputs(network, model, x)
    model.carry_from_backprop(network, x, y)
    for layer, plain in zip(model.all_layers, in_network(network, model), strict=True):
        for one, other in zip(layer.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    learned = activities_of(model, model.streams.embed(x))
    for found, activities in zip(learned, expected, strict=True):
        np.testing.assert_allclose(found, activities, rtol=1e-4, atol=1e-5)


def test_class_groups_need_no_labels_to_come_back():
    model = made("residual")
    model.carry_from_backprop(model.to_backprop(), drawn(SHAPE))


TARGETS = {
    "half a unit": ({}, None, 0.5),
    "half a unit of a sum": ({"goodness": SumOfSquares()}, None, 2.5),
    "a threshold": ({}, Logistic(threshold=1.7), 1.7),
    "a threshold left open": ({"goodness": SumOfSquares()}, Logistic(), 2.5),
    "a learned threshold": ({}, Logistic("learned"), 0.5),
}


@pytest.mark.slow
@pytest.mark.parametrize("embedding", ["append", "overlay"])
@mostly_slow("name", TARGETS, quick=(0, 2))
def test_the_goodness_of_positives_meets_the_threshold(name, embedding):
    settings, loss, target = TARGETS[name]
    layers = [FFDense(5, **settings), FFDense(5, activation="elu", **settings)]
    model = model_of(layers, loss=loss, label_embedding=embedding)
    network = model.to_backprop()
    randomised(network)
    x, y = drawn(SHAPE), labels()
    model.carry_from_backprop(network, x, y)
    positives = model.samples(x, y)["positive"]
    for goodness in model.stack.goodness(activities_of(model, positives)):
        assert np.mean(np.array(goodness)) == pytest.approx(target, rel=5e-3)


def test_a_learned_threshold_is_met_where_it_has_moved_to():
    model = model_of([FFDense(5)], loss=Logistic("learned"))
    model.ff_layers[0].threshold.assign(1.3)
    network = model.to_backprop()
    x, y = drawn(SHAPE), labels()
    model.carry_from_backprop(network, x, y)
    assert float(model.ff_layers[0].threshold) == pytest.approx(1.3)
    positives = model.samples(x, y)["positive"]
    goodness = model.stack.goodness(activities_of(model, positives))[0]
    assert np.mean(np.array(goodness)) == pytest.approx(1.3, rel=5e-3)


CONTRASTIVE = {
    "dense": (lambda: [FFDense(5), FFDense(4)], {}),
    "residual": (
        lambda: [FFDense(5), FFResidual(keras.layers.Dense(5), activation="relu"), FFDense(4)],
        {},
    ),
    "between": (
        lambda: [FFConv2D(4), keras.layers.MaxPooling2D(2), FFDense(4)],
        {"label_embedding": "overlay"},
    ),
    "flatten between": (
        lambda: [FFConv2D(4), keras.layers.Flatten(), FFDense(4)],
        {"label_embedding": "overlay"},
    ),
    "dense between": (lambda: [FFDense(5), keras.layers.Dense(6), FFDense(4)], {}),
    "normalization between": (
        lambda: [
            FFDense(5),
            LengthNormalization(),
            FFResidual(keras.layers.Dense(5), activation="relu"),
        ],
        {},
    ),
    "attention": (attention, {"label_embedding": "spatial_pattern"}),
    "tokens": (lambda: [FFAttention(1, 4), FFDense(4)], {"label_embedding": TokenLabels(3)}),
    "batch normalization": (
        lambda: [
            FFLayer(
                keras.Sequential([convolution(use_bias=False), keras.layers.BatchNormalization()]),
                activation="relu",
                normalization="batch",
            ),
            FFDense(4, activation="tanh"),
        ],
        {"label_embedding": "overlay"},
    ),
    "label map": (lambda: [FFConv2D(4), FFDense(4)], {"label_embedding": LabelMap(seed=1)}),
    "two views": (STACKS["two views"][0], STACKS["two views"][1]),
}


@mostly_slow("name", CONTRASTIVE, quick=(0, 2, 4))
def test_weights_come_back_up_to_a_factor(name):
    """One that brings every layer's goodness to half a unit, first to last."""
    make, settings = CONTRASTIVE[name]
    model = model_of(make(), **settings)
    network = model.to_backprop()
    randomised(network)
    x, y = drawn(SHAPE), labels()
    model.carry_from_backprop(network, x, y)
    for layer, plain in zip(model.all_layers, in_network(network, model), strict=True):
        for own, theirs in zip(way_of_the_data(layer), way_of_the_data(plain), strict=True):
            assert proportional(theirs, own)
    inputs = model.streams.embed(x, None if model.unsupervised else y)
    for layer, goodness in zip(
        model.ff_layers, model.stack.goodness(activities_of(model, inputs)), strict=True
    ):
        target = 0.5 * layer.goodness_unit
        assert np.mean(np.array(goodness)) == pytest.approx(target, rel=5e-3), layer.name


def test_there_and_back_without_training_nothing_changes():
    """Where goodness is at half a unit already."""
    model = model_of([FFDense(5), FFDense(4)])
    x, y = drawn(SHAPE), labels()
    network = model.to_backprop()
    model.carry_from_backprop(network, x, y)
    before = model.get_weights()
    model.carry_from_backprop(model.to_backprop(), x, y)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, rtol=2e-3, atol=1e-6)


@pytest.mark.slow
def test_it_learns_on_from_what_came_back():
    model = model_of([FFDense(5), FFDense(4)])
    x, y = drawn(SHAPE), labels()
    network = model.to_backprop(carry_weights=False)
    network.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    network.fit(x, y, verbose=0)
    model.carry_from_backprop(network, x, y)
    before = model.get_weights()
    history = model.fit(x, y, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert any(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))


FOREIGN = {
    "fewer layers": ([FFDense(5)], SHAPE),
    "more layers": ([FFDense(5), FFDense(4), FFDense(4)], SHAPE),
    "other kinds": ([FFConv2D(5), FFDense(4)], SHAPE),
    "other widths": ([FFDense(7), FFDense(4)], SHAPE),
    "another last width": ([FFDense(5), FFDense(9)], SHAPE),
    "other samples": ([FFDense(5), FFDense(4)], (12, 7, 7, 1)),
    "no bias": ([FFDense(5, use_bias=False), FFDense(4)], SHAPE),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_networks_of_other_layers_are_refused(name):
    """And the model stays as it was."""
    layers, shape = FOREIGN[name]
    model = model_of([FFDense(5), FFDense(4)])
    before = model.get_weights()
    settings = {"label_embedding": "overlay"} if name == "other kinds" else {}
    foreign = model_of(
        [type(one).from_config(one.get_config()) for one in layers], shape, **settings
    )
    with pytest.raises(ValueError, match=r"network.*Received"):
        model.carry_from_backprop(foreign.to_backprop(), drawn(SHAPE), labels())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_plain_network_is_refused():
    network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5)])
    network.build((None, *SHAPE[1:]))
    with pytest.raises(ValueError, match=r"must hold the model's layers.*Received"):
        model_of([FFDense(5), FFDense(4)]).carry_from_backprop(network, drawn(SHAPE), labels())


def test_unbuilt_models_are_refused():
    network = model_of([FFDense(5)]).to_backprop()
    model = model_of([FFDense(5)], build=False)
    with pytest.raises(ValueError, match="must be built"):
        model.to_backprop()
    with pytest.raises(ValueError, match="must be built"):
        model.carry_from_backprop(network, drawn(SHAPE), labels())
