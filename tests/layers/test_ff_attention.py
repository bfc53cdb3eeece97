"""FFAttention: layers of attention that learn by themselves."""

import json

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.labels import SpatialPattern, TokenLabels
from keras_ff.layers import FFAttention, FFDense, FFLayer, PatchAttention
from tests.helpers import drawn
from tests.helpers.patch_attention import by_hand


def test_the_ff_layer_is_its_transform_behind_a_normalisation():
    layer, x = FFAttention(2, 4, patch_size=2), 5.0 * drawn(4, 4, 6, 1)
    y = layer(x)
    normalised = x / np.sqrt((x**2).mean(axis=(1, 2, 3), keepdims=True))
    expected = np.maximum(by_hand(normalised, layer.transform), 0.0)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4)
    assert layer.units == 8


def test_one_goodness_over_all_tokens_and_units():
    layer, x = FFAttention(2, 4, 6, loss="symba"), drawn(4, 5, 3)
    metrics, batch = layer.test_step(x)
    expected = (np.array(batch.inputs, "float64") ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(metrics["positive_goodness"], expected[:2], rtol=1e-5)
    np.testing.assert_allclose(metrics["negative_goodness"], expected[2:], rtol=1e-5)


def test_locality_is_the_longest_way_of_a_gradient():
    layer = FFAttention(2, 4)
    layer.build((None, 5, 3))
    assert layer.locality == 4
    model = keras_ff.FFModel([FFAttention(2, 4, patch_size=2), FFDense(4)], 2, "spatial_pattern")
    model.build((None, 4, 4, 1))
    assert model.locality == 4


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_ff_round_trip(policy):
    layer = FFAttention(
        2, 4, units=6, patch_size=2, activation="tanh", loss="symba", optimizer="sgd", dtype=policy
    )
    assert "transform" not in layer.get_config()
    x = drawn(4, 4, 6, 1)
    metrics, batch = layer.train_step(x)
    assert keras.backend.standardize_dtype(metrics["loss"].dtype) == "float32"
    assert keras.backend.standardize_dtype(batch.inputs.dtype) == policy.replace("mixed_", "")
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    for copy in (
        FFAttention.from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(serialised),
    ):
        assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
        copy(x)
        copy.set_weights(layer.get_weights())
        assert float(copy.test_step(x)[0]["loss"]) == float(layer.test_step(x)[0]["loss"])


@pytest.mark.slow
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
    assert np.mean(last["pair_accuracy"]) > 0.9


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


@pytest.mark.slow
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
