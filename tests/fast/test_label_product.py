"""The first dense layer's shared product is the plain path, computed in another order."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import fast
from keras_ff.fast import label_product
from keras_ff.labels import Append, LabelMap, Overlay, SpatialPattern
from keras_ff.layers import Batch, FFConv2D, FFDense, LengthNormalization
from keras_ff.negatives import RandomLabels
from tests.helpers import activities_of, drawn, mostly_slow
from tests.helpers.either_backend import in_graph, value_and_gradients

CLASSES = 4
BATCH = 6
# The share of a figure that is lost where it is rounded to bfloat16.
RESOLUTION = 2.0**-8
SHAPES = [(BATCH, 9), (BATCH, 4, 5), (BATCH, 4, 5, 1), (BATCH, 4, 5, 3)]


def labelled(shape=(BATCH, 4, 5, 3), streams=3, x=None):
    """Samples beside a true label and wrong ones, all different."""
    x = drawn(shape) if x is None else x
    first = np.arange(len(x)) % CLASSES
    labels = (first + np.arange(streams)[:, None]) % CLASSES
    labels = ops.convert_to_tensor(labels, "int32")
    return Batch(ops.convert_to_tensor(x), streams, labels)


def embedded(layer, batch):
    """The same batch with its labels in the samples, which goes the plain way."""
    return batch.replace(inputs=layer.embed(batch), stream_labels=None)


def built(layer, batch, embedding):
    """A layer that embeds labels, as the first one of a model does."""
    layer.num_classes = CLASSES
    layer.set_label_embedding(embedding)
    layer.build(tuple(batch.embedded(embedding, CLASSES).shape))
    return layer


def layer_for(batch, embedding, bias=True, **settings):
    settings = {"loss": "symba", "optimizer": keras.optimizers.SGD(0.1), **settings}
    layer = FFDense(
        7,
        activation=settings.pop("activation", "tanh"),
        use_bias=bias,
        kernel_initializer=keras.initializers.GlorotNormal(seed=2),
        bias_initializer=keras.initializers.RandomNormal(stddev=0.3, seed=3) if bias else "zeros",
        **settings,
    )
    return built(layer, batch, embedding)


@pytest.fixture
def calls(monkeypatch):
    """Counts how often the shared product is taken."""
    counted = []
    original = label_product.pre_activation

    def counting(layer, batch):
        counted.append(layer)
        return original(layer, batch)

    monkeypatch.setattr(label_product, "pre_activation", counting)
    return counted


# --- activities ----------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", ["length", None])
@mostly_slow("embedding", [Append(), Append(2.0), Overlay(), Overlay(0.5)], quick=(0, 3), ids=repr)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@mostly_slow("streams", [2, 4], quick=(1,))
def test_activities_are_those_of_the_plain_path(streams, shape, embedding, normalization, calls):
    batch = labelled(shape, streams)
    layer = layer_for(batch, embedding, normalization=normalization)
    expected = layer(layer.embed(batch))
    assert calls == []
    found = fast.forward(layer, batch)
    assert calls == [layer]
    assert found.shape == (streams * BATCH, 7)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("embedding", [Append(), Overlay()], ids=repr)
def test_activities_by_hand(embedding):
    """In float64, from the embedded samples themselves."""
    batch = labelled()
    layer = layer_for(batch, embedding, activation="relu")
    x = convert_to_numpy(layer.embed(batch)).astype("float64").reshape(3 * BATCH, -1)
    x = x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 1e-8)
    kernel, bias = (weight.astype("float64") for weight in layer.get_weights())
    expected = np.maximum(x @ kernel + bias, 0)
    np.testing.assert_allclose(fast.forward(layer, batch), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("normalization", ["length", None])
@pytest.mark.parametrize("embedding", [Append(), Overlay()], ids=repr)
def test_mixed_bfloat16(embedding, normalization, calls):
    """As near to the metrics of float32 as the plain path, and in the same dtype."""
    batch = labelled()
    layer = layer_for(batch, embedding, normalization=normalization, activation=None)
    exact = convert_to_numpy(layer(layer.embed(batch)))
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = layer_for(batch, embedding, normalization=normalization, activation=None)
    assert layer.kernel.dtype == "float32"
    plain, shared = layer(layer.embed(batch)), fast.forward(layer, batch)
    assert calls == [layer]
    assert {keras.backend.standardize_dtype(one.dtype) for one in (shared, plain)} == {"bfloat16"}
    size = np.abs(exact).max()
    for found in (plain, shared):
        error = np.abs(convert_to_numpy(ops.cast(found, "float32")) - exact)
        assert error.max() < 3 * RESOLUTION * size


@pytest.mark.parametrize("x", [0.0, 1e-3, 1e4], ids=["blank", "faint", "bright"])
@pytest.mark.parametrize("embedding", [Append(), Overlay()], ids=repr)
def test_samples_of_any_strength(embedding, x):
    """A blank sample, too, has a label of the least energy."""
    values = x * drawn((BATCH, 4, 5, 3))
    values[0] = 0.0
    batch = labelled(x=values.astype("float32"))
    layer = layer_for(batch, embedding)
    found = convert_to_numpy(fast.forward(layer, batch))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, layer(layer.embed(batch)), rtol=1e-5, atol=1e-5)


def test_integer_images():
    x = np.random.default_rng(0).integers(0, 256, (BATCH, 4, 5, 1)).astype("uint8")
    for embedding in (Append(), Overlay()):
        batch = labelled(x=x)
        layer = layer_for(batch, embedding)
        np.testing.assert_allclose(
            fast.forward(layer, batch), layer(layer.embed(batch)), rtol=1e-5, atol=1e-5
        )


@pytest.mark.slow
def test_in_a_graph_of_unknown_batch_size(calls):
    embedding = Append()
    batch = labelled()
    layer = layer_for(batch, embedding)

    def activities(x, labels):
        return fast.forward(layer, Batch(x, 3, labels))

    signature = ((None, 4, 5, 3), "float32"), ((3, None), "int32")
    found = in_graph(activities, *signature, layer=layer)(batch.inputs, batch.stream_labels)
    assert calls == [layer]
    assert found.shape == (3 * BATCH, 7)
    np.testing.assert_allclose(found, layer(layer.embed(batch)), rtol=1e-5, atol=1e-5)


def test_dropout_comes_behind_it():
    batch = labelled()
    layer = layer_for(batch, Append(), dropout=0.5)
    generator = layer.dropout.seed_generator.state
    start = convert_to_numpy(generator)
    shared = convert_to_numpy(fast.forward(layer, batch, training=True))
    generator.assign(start)
    plain = convert_to_numpy(layer(layer.embed(batch), training=True))
    np.testing.assert_allclose(shared, plain, rtol=1e-5, atol=1e-5)
    assert 0.2 < np.mean(shared == 0) < 0.8


# --- gradients -----------------------------------------------------------------------------------


def losses_and_gradients(layer, batch):
    def loss():
        activities = fast.forward(layer, batch, training=True)
        return layer.objective(batch, training=True, activities=activities)[0]["loss"]

    loss, gradients = value_and_gradients(loss, *layer.trainable_weights)
    return float(loss), gradients


@pytest.mark.slow
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("normalization", ["length", None])
@pytest.mark.parametrize("embedding", [Append(), Overlay()], ids=repr)
def test_gradients_by_kernel_and_bias_are_those_of_the_plain_path(
    embedding, normalization, bias, calls
):
    weight = np.linspace(0, 2, BATCH).astype("float32")
    batch = labelled().replace(sample_weight=weight)
    settings = {"kernel_regularizer": keras.regularizers.L2(0.1), "normalization": normalization}
    layer = layer_for(batch, embedding, bias, **settings)
    shared, found = losses_and_gradients(layer, batch)
    assert calls == [layer]
    plain, expected = losses_and_gradients(layer, embedded(layer, batch))
    assert calls == [layer]
    assert shared == pytest.approx(plain, rel=1e-5)
    assert len(found) == 1 + bias
    for one, other in zip(found, expected, strict=True):
        assert np.abs(other).max() > 1e-3
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


@pytest.mark.parametrize("embedding", [Append(), Overlay()], ids=repr)
def test_gradients_under_mixed_bfloat16(embedding):
    batch = labelled()
    layer = layer_for(batch, embedding)
    _, exact = losses_and_gradients(layer, embedded(layer, batch))
    keras.config.set_dtype_policy("mixed_bfloat16")
    _, found = losses_and_gradients(layer_for(batch, embedding), batch)
    for one, other in zip(found, exact, strict=True):
        assert one.dtype == "float32"
        np.testing.assert_allclose(one, other, rtol=0, atol=0.05 * np.abs(other).max())


PENALTIES = {
    "activity regularizer": lambda: {"activity_regularizer": keras.regularizers.L2(0.1)},
    "auxiliary term": lambda: {"auxiliary": keras.layers.ActivityRegularization(l2=0.1)},
    "kernel regularizer": lambda: {"kernel_regularizer": keras.regularizers.L1(0.1)},
}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_count_as_on_the_plain_path(name):
    batch = labelled()
    layer = layer_for(batch, Append(), **PENALTIES[name]())
    shared, found = losses_and_gradients(layer, batch)
    plain, expected = losses_and_gradients(layer, embedded(layer, batch))
    without = losses_and_gradients(layer_for(batch, Append()), embedded(layer, batch))[0]
    assert plain > without + 1e-3
    assert shared == pytest.approx(plain, rel=1e-5)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


# --- within a model ------------------------------------------------------------------------------


def fitted(embedding, negatives, x, y):
    # Smooth, so that a difference in the last digit stays one.
    layers = [
        FFDense(5, "tanh", kernel_initializer=keras.initializers.GlorotNormal(seed=k))
        for k in range(2)
    ]
    model = keras_ff.FFModel(
        layers,
        CLASSES,
        label_embedding=embedding,
        negatives=negatives,
        layer_schedule="simultaneous",
    )
    model.compile(keras.optimizers.SGD(0.1), keras_ff.losses.SymBa(4.0))
    history = model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    return model, history.history


@pytest.mark.slow
@pytest.mark.parametrize("embedding", [Append(), Overlay()], ids=repr)
@pytest.mark.parametrize("count", [1, 3], ids=["one negative", "three negatives"])
def test_a_fit_ends_with_the_weights_of_the_plain_path(count, embedding, calls, monkeypatch):
    x, y = drawn((10, 4, 4, 2)), np.arange(10) % CLASSES
    shared, history = fitted(embedding, RandomLabels(count, seed=1), x, y)
    # Wherever a step is traced; the second layer has no labels to share.
    assert set(calls) == {shared.ff_layers[0]}
    calls.clear()
    scores = shared.predict(x, verbose=0)
    assert set(calls) == {shared.ff_layers[0]}  # scoring goes the same way
    monkeypatch.setattr(label_product, "applies", lambda layer, batch: False)
    calls.clear()
    plain, expected = fitted(embedding, RandomLabels(count, seed=1), x, y)
    assert calls == []
    for one, other in zip(shared.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-5)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(scores, plain.predict(x, verbose=0), rtol=1e-4, atol=1e-5)


def test_the_neutral_label_goes_the_plain_way(calls):
    """It is one label a sample, of which nothing is shared."""
    layers = [FFDense(5), FFDense(4)]
    model = keras_ff.FFModel(layers, CLASSES, readout="softmax")
    model.compile(run_eagerly=True)
    x = drawn((5, 9))
    model.predict(x, verbose=0)
    assert calls == []
    activities = activities_of(model, model.streams.embed(x, None))
    np.testing.assert_array_equal(activities[0], layers[0](model.streams.embed(x, None)))
    assert calls == []


NOT_TAKEN = {
    "centered length": (lambda: FFDense(7, normalization="centered_length"), Append()),
    "batch": (lambda: FFDense(7, normalization="batch"), Append()),
    "layer": (lambda: FFDense(7, normalization="layer"), Append()),
    "length of an axis": (lambda: FFDense(7, normalization=LengthNormalization(axis=-1)), Append()),
    "another normalization": (
        lambda: FFDense(7, normalization=keras.layers.UnitNormalization()),
        Append(),
    ),
    "a convolution": (lambda: FFConv2D(3), Overlay()),
    "a pattern over all pixels": (lambda: FFDense(7), SpatialPattern()),
    "a learned map": (lambda: FFDense(7), LabelMap(seed=1)),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_it_is_not_taken_where_it_is_not_the_same(name, calls):
    make, embedding = NOT_TAKEN[name]
    batch = labelled()
    layer = built(make(), batch, embedding)
    for training in (False, True):
        expected = layer(layer.embed(batch), training=training)
        found = fast.forward(layer, batch, training=training)
        np.testing.assert_array_equal(found, expected)
    assert calls == []


def test_it_is_not_taken_for_embedded_labels(calls):
    batch = labelled()
    layer = layer_for(batch, Append())
    inputs = embedded(layer, batch)
    assert label_product.applies(layer, batch)
    assert not label_product.applies(layer, inputs)
    np.testing.assert_array_equal(fast.forward(layer, inputs), layer(inputs.inputs))
    assert calls == []


@pytest.mark.parametrize("embedding", [Append(3.0), Overlay(3.0)], ids=repr)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_is_separated_makes_up_the_sample(shape, embedding):
    """Pixels and label are orthogonal, and every class's label has the same length."""
    x = drawn(shape)
    pixels, length, directions = (
        convert_to_numpy(part) for part in embedding.separate(ops.convert_to_tensor(x), CLASSES)
    )
    np.testing.assert_allclose(directions @ directions.T, np.eye(CLASSES), atol=1e-6)
    np.testing.assert_allclose(pixels @ directions.T, 0, atol=1e-6)
    for label in range(CLASSES):
        embedded = embedding(x, np.full(BATCH, label), CLASSES)
        together = pixels + length * directions[label]
        np.testing.assert_allclose(
            together, convert_to_numpy(embedded).reshape(BATCH, -1), rtol=1e-6, atol=1e-6
        )
