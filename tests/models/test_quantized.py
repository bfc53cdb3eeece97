"""Quantized models save, load, copy and become presets."""

import copy

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff.layers import FFConv2D, FFDense

random = np.random.default_rng(0)
IMAGES = random.random((24, 6, 6, 1)).astype("float32")
LABELS = np.arange(24) % 3


def dense(**options):
    return keras_ff.FFModel([FFDense(16), FFDense(12)], 3, **options)


def with_heads():
    layers = [FFDense(18, auxiliary=[keras_ff.losses.SupCon()]), FFDense(12)]
    return keras_ff.FFModel(layers, 3, readout="softmax")


def mixed():
    layers = [FFConv2D(4), keras.layers.Rescaling(2.0), FFDense(12)]
    return keras_ff.FFModel(layers, 3, label_embedding="overlay")


def recurrent():
    layers = [keras_ff.models.RecurrentDense(16) for _ in range(2)]
    return keras_ff.models.RecurrentFFModel(layers, 3)


def quantized(made, mode="int8"):
    keras.utils.set_random_seed(1)
    model = made()
    model.compile(metrics=["accuracy"])
    model.build((None, 6, 6, 1))
    for weight in model.weights:
        if weight.name == "kernel":  # a head begins with zeros
            weight.assign(keras.random.normal(weight.shape))
    model.quantize(mode)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "mode", "kernels"),
    [
        (dense, "int8", 2),
        (dense, "int4", 2),
        (with_heads, "int8", 4),
        (mixed, "int8", 1),
        (recurrent, "int8", 2),
    ],
)
def test_scores_stay(made, mode, kernels, tmp_path):
    model = quantized(made, mode)
    types = [weight.dtype for weight in model.weights if weight.name == "kernel"]
    assert types.count("int8") == kernels
    scores = model.predict(IMAGES, verbose=0)
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset", weights="float32")
    for other in (
        keras.saving.load_model(tmp_path / "model.keras"),
        type(model).from_preset(tmp_path / "preset"),
        copy.deepcopy(model),
    ):
        assert [one.dtype for one in other.weights] == [one.dtype for one in model.weights]
        np.testing.assert_allclose(other.predict(IMAGES, verbose=0), scores, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_another_readout_is_not_quantized(tmp_path):
    model = quantized(with_heads)
    model.save_to_preset(tmp_path / "preset", weights="float32")
    for readout in ("goodness", "softmax"):
        other = keras_ff.FFModel.from_preset(tmp_path / "preset", readout=readout)
        assert other.ff_layers[0].transform.quantization_mode == "int8"
    assert other.readout.head.quantization_mode is None
    other.compile("adam")
    other.fit_readout(IMAGES, LABELS, verbose=0)
    assert np.array(other.readout.head.kernel).any()


@pytest.mark.slow
def test_what_was_filtered_stays_as_it_is(tmp_path):
    keras.utils.set_random_seed(1)
    model = dense()
    model.compile()
    model.build((None, 6, 6, 1))
    second = model.ff_layers[1].transform
    model.quantize("int8", filters=lambda layer: layer is second)
    model.save(tmp_path / "model.keras")
    first, second = keras.saving.load_model(tmp_path / "model.keras").ff_layers
    assert first.transform.quantization_mode is None
    assert second.transform.quantization_mode == "int8"


@pytest.mark.slow
def test_weights_of_a_file_go_into_a_quantized_twin(tmp_path):
    model, other = quantized(dense), quantized(dense)
    other.ff_layers[0].transform.bias.assign(keras.ops.ones(16))
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(
        other.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0)
    )
