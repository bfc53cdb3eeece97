"""FFLocallyConnected2D: local receptive fields that learn by themselves."""

import json

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.layers import FFConv2D, FFDense, FFLayer, FFLocallyConnected2D, LocallyConnected2D
from tests.helpers import drawn
from tests.helpers.locally_connected import by_hand


def test_the_ff_layer_is_its_transform_behind_a_normalisation():
    layer, x = FFLocallyConnected2D(3, bias_initializer="normal"), drawn(4, 5, 6, 2)
    y = layer(x)
    normalised = x / np.sqrt((x**2).mean(axis=(1, 2, 3), keepdims=True))
    expected = np.maximum(by_hand(normalised, layer.transform), 0.0)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    assert layer.filters == 3 and tuple(layer.kernel.shape) == (5, 6, 18, 3)


def test_it_takes_the_place_of_a_convolution():
    pool = keras.layers.AveragePooling2D
    for settings in ({}, {"padding": "valid"}, {"strides": 2}, {"kernel_size": 5}):
        fields = FFLocallyConnected2D(4, **settings, pooling=pool(2))
        convolution = FFConv2D(4, **settings, pooling=pool(2))
        for layer in (fields, convolution):
            layer.build((None, 9, 10, 3))
        shapes = [layer.compute_output_shape((None, 9, 10, 3)) for layer in (fields, convolution)]
        assert shapes[0] == shapes[1]
        assert tuple(fields(drawn(2, 9, 10, 3)).shape) == (2, *shapes[0][1:])


def test_one_matrix_a_gradient():
    layer = FFLocallyConnected2D(4)
    layer.build((None, 5, 5, 1))
    assert layer.locality == 1
    wrapped = FFLayer(LocallyConnected2D(4, 3))
    wrapped.build((None, 5, 5, 1))
    assert wrapped.locality == 1


def test_ff_round_trip():
    layer = FFLocallyConnected2D(
        4, (2, 3), strides=2, activation="tanh", kernel_regularizer="l2", loss="symba", dropout=0.2
    )
    assert "transform" not in layer.get_config()
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    x = drawn(4, 6, 6, 1)
    layer(x)
    for copy in (
        FFLocallyConnected2D.from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(serialised),
    ):
        assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
        copy(x)
        copy.set_weights(layer.get_weights())
        np.testing.assert_array_equal(copy(x), layer(x))
        assert float(copy.test_step(x)[0]["loss"]) == float(layer.test_step(x)[0]["loss"])


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["simultaneous", "greedy"])
def test_fit(schedule):
    model = keras_ff.FFModel(
        [FFLocallyConnected2D(4), FFLocallyConnected2D(3, 2, strides=2, padding="valid")],
        num_classes=3,
        label_embedding="overlay",
        layer_schedule=schedule,
    )
    model.compile("adam", metrics=["accuracy"])
    x, y = drawn(16, 6, 6, 1), np.arange(16) % 3
    model.build(x.shape)
    before = [layer.get_weights() for layer in model.ff_layers]
    epochs = 1 if schedule == "simultaneous" else 2
    history = model.fit(x, y, batch_size=8, epochs=epochs, verbose=0)
    assert np.isfinite(history.history["loss"][-1])
    for old, layer in zip(before, model.ff_layers, strict=True):
        for one, weight in zip(old, layer.trainable_weights, strict=True):
            assert np.abs(convert_to_numpy(weight) - one).max() > 1e-5, weight.path
    assert model.locality == 1
    assert model.predict(x, verbose=0).shape == (16, 3)


@pytest.mark.slow
def test_it_learns_which_corner_is_lit():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 128)
    x = rng.uniform(0, 0.2, (128, 6, 6, 1)).astype("float32")
    x[y == 0, :2, :2] += 1.0
    x[y == 1, -2:, -2:] += 1.0
    model = keras_ff.FFModel(
        [FFLocallyConnected2D(8), FFDense(16)],
        num_classes=2,
        label_embedding="spatial_pattern",
        layer_schedule="simultaneous",
    )
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    model.fit(x[:96], y[:96], batch_size=16, epochs=8, verbose=0)
    assert model.evaluate(x[96:], y[96:], verbose=0, return_dict=True)["accuracy"] > 0.9
