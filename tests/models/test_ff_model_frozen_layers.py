"""Frozen layers stay as they are: however they were frozen, and wherever the model comes from."""

import keras
import numpy as np
import pytest

from keras_ff import FFModel, layers, losses, readouts

X = np.random.default_rng(0).random((40, 6, 6, 1), "float32")
Y = np.arange(40) % 4

# Layers, and what else a frozen one may hold.
FROZEN = {
    "dense": lambda: layers.FFDense(8, trainable=False),
    "convolution": lambda: layers.FFConv2D(8, trainable=False),
    "wrapped": lambda: layers.FFLayer(keras.layers.Dense(8), "relu", trainable=False),
    "batch normalisation": lambda: layers.FFDense(8, normalization="batch", trainable=False),
    "auxiliary": lambda: layers.FFDense(8, auxiliary=losses.SupCon(4), trainable=False),
    "learned threshold": lambda: layers.FFDense(
        8, loss=losses.Logistic(threshold="learned"), trainable=False
    ),
}


def model_of(first, **arguments):
    arguments = {"label_embedding": "overlay", "layer_schedule": "simultaneous", **arguments}
    model = FFModel([first, keras.layers.Flatten(), layers.FFDense(8)], num_classes=4, **arguments)
    model.compile(keras.optimizers.Adam(0.01))
    return model


def values(layer):
    return [np.array(weight) for weight in layer.weights]


def assert_frozen(model, part=lambda model: model.ff_layers[0]):
    """After training the part is what it was, and the last layer is not."""
    if not model.built:
        model.build((None, 6, 6, 1))
    before, last = values(part(model)), values(model.ff_layers[-1])
    model.fit(X, Y, verbose=0)
    for old, new in zip(before, values(part(model)), strict=True):
        np.testing.assert_array_equal(old, new)
    assert any(
        np.any(old != new) for old, new in zip(last, values(model.ff_layers[-1]), strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", FROZEN)
def test_a_layer_made_frozen(kind, tmp_path):
    model = model_of(FROZEN[kind]())
    assert_frozen(model)
    model.save(tmp_path / "model.keras")
    assert_frozen(keras.saving.load_model(tmp_path / "model.keras"))


@pytest.mark.slow
def test_a_layer_frozen_later(tmp_path):
    model = model_of(layers.FFDense(8))
    model.build((None, 6, 6, 1))
    model.ff_layers[0].trainable = False
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    assert_frozen(keras.saving.load_model(tmp_path / "model.keras"))
    model.save_to_preset(tmp_path / "preset")
    assert_frozen(FFModel.from_preset(tmp_path / "preset"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dense", "convolution", "wrapped"])
def test_a_transform_that_is_frozen_by_itself(kind, tmp_path):
    """Its layer learns on: here the head of an auxiliary term."""
    first = {
        "dense": lambda: layers.FFDense(8, auxiliary=losses.SupCon(4)),
        "convolution": lambda: layers.FFConv2D(8, auxiliary=losses.SupCon(4)),
        "wrapped": lambda: layers.FFLayer(
            keras.layers.Dense(8), "relu", auxiliary=losses.SupCon(4)
        ),
    }

    def transform(model):
        return model.ff_layers[0].transform

    model = model_of(first[kind]())
    model.build((None, 6, 6, 1))
    transform(model).trainable = False
    model.compile(keras.optimizers.Adam(0.01))
    head = values(model.ff_layers[0].auxiliary[0].head)
    assert_frozen(model, transform)
    assert np.any(head[0] != values(model.ff_layers[0].auxiliary[0].head)[0])
    model.save(tmp_path / "model.keras")
    model.save_to_preset(tmp_path / "preset")
    for again in (
        keras.saving.load_model(tmp_path / "model.keras"),
        FFModel.from_preset(tmp_path / "preset"),
    ):
        assert again.ff_layers[0].trainable
        assert_frozen(again, transform)


@pytest.mark.slow
def test_a_frozen_layer_beside_weight_averages():
    model = model_of(layers.FFDense(8, trainable=False))
    model.compile(keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9))
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    model.build((None, 6, 6, 1))
    before = values(model.ff_layers[0])
    model.fit(X, Y, epochs=2, validation_data=(X, Y), callbacks=[swap], verbose=0)
    for old, new in zip(before, values(model.ff_layers[0]), strict=True):
        np.testing.assert_array_equal(old, new)
    assert_frozen(model)


@pytest.mark.slow
def test_a_frozen_auxiliary_term_in_a_layer_that_learns(tmp_path):
    def head(model):
        return model.ff_layers[0].auxiliary[0].head

    model = model_of(layers.FFDense(8, auxiliary=losses.SupCon(4, trainable=False)))
    assert_frozen(model, head)
    model.save(tmp_path / "model.keras")
    assert_frozen(keras.saving.load_model(tmp_path / "model.keras"), head)


@pytest.mark.slow
def test_a_frozen_readout():
    readout = readouts.Softmax(trainable=False)
    assert_frozen(model_of(layers.FFDense(8), readout=readout), lambda model: model.readout)


def test_a_frozen_model_learns_nothing():
    model = model_of(layers.FFDense(8), trainable=False)
    model.build((None, 6, 6, 1))
    before = values(model)
    model.fit(X, Y, verbose=0)
    layers_trained = next(i for i, one in enumerate(model.weights) if one is model.layers_trained)
    for index, (old, new) in enumerate(zip(before, values(model), strict=True)):
        if index != layers_trained:
            np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_a_frozen_layer_under_backpropagation():
    model = model_of(FROZEN["dense"]())
    model.build((None, 6, 6, 1))
    network = model.to_backprop()
    frozen = next(one for one in network.layers if isinstance(one, layers.FFDense))
    before = values(frozen)
    network.compile("adam", "sparse_categorical_crossentropy")
    network.fit(X, Y, verbose=0)
    assert not frozen.trainable
    for old, new in zip(before, values(frozen), strict=True):
        np.testing.assert_array_equal(old, new)
