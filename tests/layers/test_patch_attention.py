"""Attention among patches: by hand, its scales, its gradients."""

import json

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff.layers import FFAttention, PatchAttention
from keras_ff.utils import patches
from tests.helpers import drawn
from tests.helpers.either_backend import value_and_gradients
from tests.helpers.patch_attention import by_hand, cut_by_hand

# Inputs, patch size, tokens.
CASES = [
    ((6, 8, 2), 2, 12),
    ((6, 6, 1), 3, 4),
    ((4, 4, 3), 4, 1),
    ((5, 7), None, 5),
    ((5, 7), 2, 5),  # tokens are taken as they are
]


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
    _, gradients = value_and_gradients(
        lambda: keras.ops.multiply(layer(x), drawn(3, 6, 5, seed=2)), *weights
    )
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


@pytest.mark.slow
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
