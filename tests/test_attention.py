"""Attention among patches: by hand, its scales, its gradients, and layers that learn with it."""

import json

import keras
import numpy as np
import pytest
from either_backend import value_and_gradients
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.labels import SpatialPattern, TokenLabels
from keras_ff.layers import FFAttention, FFDense, FFLayer, PatchAttention
from keras_ff.utils import patches


def drawn(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def cut_by_hand(images, size):
    """Patches, one after the other."""
    images = np.asarray(images)
    corners = [
        (top, left)
        for top in range(0, images.shape[1], size)
        for left in range(0, images.shape[2], size)
    ]
    return np.stack(
        [
            images[:, top : top + size, left : left + size].reshape(len(images), -1)
            for top, left in corners
        ],
        axis=1,
    )


def by_hand(x, layer):
    """The whole layer in float64, head by head."""
    weights = {
        weight.path.split(f"{layer.name}/")[-1]: convert_to_numpy(weight).astype("float64")
        for weight in layer.weights
    }
    tokens = np.asarray(x, "float64")
    if tokens.ndim == 4:
        tokens = cut_by_hand(tokens, layer.patch_size)
    embedded = tokens @ weights["projection/kernel"] + weights["positions"]
    attended = np.zeros_like(embedded)
    for head in range(layer.num_heads):
        query, key, value = (
            embedded @ weights[f"attention/{name}/kernel"][:, head]
            for name in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / np.sqrt(layer.key_dim)
        shares = np.exp(scores - scores.max(axis=2, keepdims=True))
        shares /= shares.sum(axis=2, keepdims=True)
        attended += shares @ value @ weights["attention/attention_output/kernel"][head]
    return (embedded + attended) @ weights["dense/kernel"] + weights["dense/bias"]


# Inputs, patch size, tokens.
CASES = [
    ((6, 8, 2), 2, 12),
    ((6, 6, 1), 3, 4),
    ((4, 4, 3), 4, 1),
    ((5, 7), None, 5),
    ((5, 7), 2, 5),  # tokens are taken as they are
]


# --- patches -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "size"), [((6, 8, 2), 2), ((6, 6, 1), 3), ((2, 4, 3), 1)])
def test_patches_by_hand(shape, size):
    images = drawn(3, *shape)
    np.testing.assert_array_equal(patches.cut(images, size), cut_by_hand(images, size))


@pytest.mark.parametrize("size", [4, 5, 8, 12, None])
def test_patches_that_do_not_fill_the_image(size):
    for refused in (
        lambda: patches.patch_grid(12, 18, size),
        lambda: patches.cut(np.ones((1, 12, 18, 1)), size),
        lambda: PatchAttention(2, 3, patch_size=size).build((None, 12, 18, 1)),
        lambda: FFAttention(2, 3, patch_size=size).compute_output_shape((None, 12, 18, 1)),
    ):
        with pytest.raises(ValueError, match=rf"1, 2, 3, 6\. Received: patch_size={size}"):
            refused()


# --- PatchAttention ------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [None, 11])
@pytest.mark.parametrize(("shape", "size", "tokens"), CASES, ids=str)
def test_by_hand(shape, size, tokens, units):
    layer, x = PatchAttention(3, 4, units, size), drawn(2, *shape)
    y = layer(x)
    assert tuple(y.shape) == (2, tokens, units or 12)
    assert layer.compute_output_shape((None, *shape)) == (None, tokens, units or 12)
    for weight in layer.weights:  # the bias as well
        weight.assign(0.3 * drawn(*weight.shape, seed=len(weight.path)))
    np.testing.assert_allclose(layer(x), by_hand(x, layer), rtol=1e-4, atol=1e-4)


def test_every_weight_gets_a_gradient():
    layer, x = PatchAttention(2, 4, 5, patch_size=2), drawn(3, 4, 6, 2)
    layer.build(x.shape)
    weights = layer.trainable_weights
    assert sorted(weight.path.split("/", 1)[1] for weight in weights) == [
        "attention/attention_output/kernel",
        "attention/key/kernel",
        "attention/query/kernel",
        "attention/value/kernel",
        "dense/bias",
        "dense/kernel",
        "positions",
        "projection/kernel",
    ]
    _, gradients = value_and_gradients(lambda: layer(x) * drawn(3, 6, 5, seed=2), *weights)
    for weight, gradient in zip(weights, gradients, strict=True):
        assert np.abs(gradient).max() > 1e-3, weight.path


def test_tokens_look_at_one_another_and_know_their_positions():
    layer, x = PatchAttention(2, 8), drawn(1, 4, 6)
    y = np.array(layer(x))
    other = x.copy()
    other[:, 3] += 1.0
    assert np.abs(np.array(layer(other)) - y)[:, :3].max() > 1e-3
    turned = np.array(layer(x[:, ::-1]))[:, ::-1]
    assert np.abs(turned - y).max() > 0.1
    layer.positions.assign(np.zeros((4, 16)))
    turned = np.array(layer(x[:, ::-1]))[:, ::-1]
    np.testing.assert_allclose(turned, layer(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("heads", "key_dim", "size"), [(4, 16, 2), (2, 64, 4), (8, 8, 1)])
def test_the_first_scales_are_about_one(heads, key_dim, size):
    """Of inputs of mean square 1: embeddings, queries, keys, values, answers."""
    layer, x = PatchAttention(heads, key_dim, units=96, patch_size=size), drawn(64, 8, 8, 1)
    y = np.array(layer(x))
    embedded = np.array(layer.projection(patches.cut(x, size))) + layer.positions
    assert 0.8 < np.std(embedded) < 1.4
    for name in ("query", "key", "value", "attention_output"):
        (weight,) = (w for w in layer.weights if w.path.endswith(f"{name}/kernel"))
        matrix = convert_to_numpy(weight).reshape(heads * key_dim, -1)
        assert matrix.var() == pytest.approx(1 / (heads * key_dim), rel=0.1), name
    assert 0.8 < np.std(y) < 1.8


def test_bfloat16_agrees_with_float32():
    x = drawn(3, 6, 6, 1)
    exact = PatchAttention(2, 8, patch_size=2)
    mixed = PatchAttention(2, 8, patch_size=2, dtype="mixed_bfloat16")
    exact(x)
    mixed.build(x.shape)
    assert {keras.backend.standardize_dtype(w.dtype) for w in mixed.weights} == {"float32"}
    mixed.set_weights(exact.get_weights())
    y = mixed(x)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    np.testing.assert_allclose(keras.ops.cast(y, "float32"), exact(x), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", ["num_heads", "key_dim", "units", "patch_size"])
@pytest.mark.parametrize("bad", [0, -1, 2.0, "two", True])
def test_sizes_that_are_none(name, bad):
    for kind in (PatchAttention, FFAttention):
        with pytest.raises(ValueError, match=f"Received: {name}={bad!r}"):
            kind(**{"num_heads": 2, "key_dim": 4, name: bad})


@pytest.mark.parametrize("shape", [(None, 8), (None, None, 8), (None, 8, None, 1), (2, 3, 4, 5, 6)])
def test_inputs_that_are_neither_images_nor_tokens(shape):
    with pytest.raises(ValueError, match=r"images .* or tokens.*Received: inputs of shape"):
        PatchAttention(2, 4, patch_size=2).build(shape)


def test_round_trip(tmp_path):
    layer, x = PatchAttention(2, 4, 5, patch_size=2), drawn(2, 4, 6, 1)
    model = keras.Sequential([keras.Input((4, 6, 1)), layer])
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    for copy in (
        PatchAttention.from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(serialised),
    ):
        assert copy.get_config() == layer.get_config()
        copy(x)
        copy.set_weights(layer.get_weights())
        np.testing.assert_array_equal(copy(x), layer(x))
    model.save(tmp_path / "attention.keras")
    loaded = keras.saving.load_model(tmp_path / "attention.keras")
    np.testing.assert_array_equal(loaded(x), model(x))


# --- FFAttention ---------------------------------------------------------------------------------


def test_the_ff_layer_is_its_transform_behind_a_normalisation():
    layer, x = FFAttention(2, 4, patch_size=2), 5.0 * drawn(4, 4, 6, 1)
    y = layer(x)
    normalised = x / np.sqrt((x**2).mean(axis=(1, 2, 3), keepdims=True))
    expected = np.maximum(by_hand(normalised, layer.transform), 0.0)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    assert layer.units == 8


def test_one_goodness_over_all_tokens_and_units():
    layer, x = FFAttention(2, 4, 6, loss="symba"), drawn(4, 5, 3)
    figures, activities = layer.measure(x)
    expected = (np.array(activities, "float64") ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(figures["positive_goodness"], expected[:2], rtol=1e-5)
    np.testing.assert_allclose(figures["negative_goodness"], expected[2:], rtol=1e-5)


def test_locality_is_the_longest_way_of_a_gradient():
    layer = FFAttention(2, 4)
    layer.build((None, 5, 3))
    assert layer.locality == 4
    model = keras_ff.FFModel([FFAttention(2, 4, patch_size=2), FFDense(4)], 2, "spatial_pattern")
    model.build((None, 4, 4, 1))
    assert model.locality == 4


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_ff_round_trip(policy):
    layer = FFAttention(
        2, 4, units=6, patch_size=2, activation="tanh", loss="symba", optimizer="sgd", dtype=policy
    )
    assert "transform" not in layer.get_config()
    x = drawn(4, 4, 6, 1)
    figures, activities = layer.train_step(x)
    assert keras.backend.standardize_dtype(figures["loss"].dtype) == "float32"
    assert keras.backend.standardize_dtype(activities.dtype) == policy.replace("mixed_", "")
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    for copy in (
        FFAttention.from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(serialised),
    ):
        assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
        copy(x)
        copy.set_weights(layer.get_weights())
        assert float(copy.measure(x)[0]["loss"]) == float(layer.measure(x)[0]["loss"])


def test_steps_tell_streams_apart():
    """Which of two tokens holds the mark decides; every token has the same features."""
    layer = FFAttention(2, 4, loss="symba", optimizer=keras.optimizers.Adam(0.01))
    x = drawn(32, 4, 3)
    x[:16, 0] += 3.0
    x[16:, 3] += 3.0
    first, _ = layer.train_step(x)
    for _ in range(30):
        last, _ = layer.train_step(x)
    assert float(last["loss"]) < 0.2 * float(first["loss"])
    assert np.mean(last["pairs_told_apart"]) > 0.9


STACKS = {
    "patches": (
        lambda: [FFAttention(2, 4, patch_size=2), FFAttention(2, 4, 6), FFDense(5)],
        SpatialPattern(),
    ),
    "tokens": (
        lambda: [FFAttention(2, 4, 6), FFLayer(PatchAttention(1, 4), activation="relu")],
        TokenLabels(patch_size=2),
    ),
}


@pytest.mark.parametrize("schedule", ["simultaneous", "greedy"])
@pytest.mark.parametrize("name", STACKS)
def test_fit(name, schedule, tmp_path):
    make, embedding = STACKS[name]
    model = keras_ff.FFModel(make(), 3, label_embedding=embedding, layer_schedule=schedule)
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"], run_eagerly=True)
    x, y = drawn(12, 6, 6, 1), np.arange(12) % 3
    model.build(x.shape)
    before = [layer.get_weights() for layer in model.ff_layers]
    epochs = 1 if schedule == "simultaneous" else len(before)
    history = model.fit(x, y, batch_size=6, epochs=epochs, verbose=0)
    assert np.isfinite(history.history["loss"][-1])
    for old, layer in zip(before, model.ff_layers, strict=True):
        for one, weight in zip(old, layer.trainable_weights, strict=True):
            assert np.abs(convert_to_numpy(weight) - one).max() > 1e-5, weight.path
    scores = model.predict(x, verbose=0)
    assert scores.shape == (12, 3)
    model.save(tmp_path / "attention.keras")
    loaded = keras.saving.load_model(tmp_path / "attention.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), scores, rtol=1e-6)
