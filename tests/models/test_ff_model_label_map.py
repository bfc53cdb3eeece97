"""A learned label map within a model: it belongs to layer 1's tape, optimizer and locality."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import ops
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.labels import LabelMap
from keras_ff.layers import FFAttention, FFConv2D, FFDense, FFResidual
from keras_ff.negatives import Adversarial, AllLabels, HybridImages, Perturbation, RandomLabels
from tests.helpers import drawn, mostly_slow
from tests.helpers.either_backend import gradient_table, value_and_gradients

CLASSES = 3
SHAPE = (8, 6, 6, 1)
RATE = 0.1


def labels():
    return np.arange(SHAPE[0]) % CLASSES


def convolution(**settings):
    return keras.layers.Conv2D(3, 3, padding="same", **settings)


def layers(number=3):
    return [
        FFConv2D(
            3, activation="tanh", kernel_initializer=keras.initializers.GlorotNormal(seed=index)
        )
        for index in range(number)
    ]


def model_of(made=None, shape=SHAPE, schedule="simultaneous", eager=True, **settings):
    settings = {"negatives": RandomLabels(seed=2), **settings}
    model = keras_ff.FFModel(
        layers() if made is None else made,
        CLASSES,
        label_embedding=LabelMap(strength=0.5, seed=1),
        layer_schedule=schedule,
        **settings,
    )
    model.compile(keras.optimizers.SGD(RATE), keras_ff.losses.SymBa(4.0), run_eagerly=eager)
    model.build((None, *shape[1:]))
    return model


def maps(model):
    return convert_to_numpy(model.label_embedding.maps)


def moved(model, before):
    return np.abs(maps(model) - before).max() > 1e-6


# --- what moves it -------------------------------------------------------------------------------


def test_a_step_is_that_of_layer_1s_loss():
    """By hand: embedding, layer 1, goodness, loss."""
    model = model_of(negatives=AllLabels())
    x, y = drawn(SHAPE), labels()
    layer = model.ff_layers[0]
    kernel = convert_to_numpy(layer.kernel)
    wrong = (y[:, None] + np.arange(1, CLASSES)) % CLASSES
    every = np.concatenate([y[None], wrong.T])

    def loss(variable, kernel):
        goodness = []
        for stream in every:
            unit = variable / ops.norm(variable, axis=(1, 2), keepdims=True)
            length = np.sqrt(0.5 * np.sum(x**2, axis=(1, 2, 3)))[:, None, None]
            channel = ops.multiply(ops.take(unit, stream, axis=0), length)
            images = ops.concatenate([x, channel[..., None]], axis=3)
            images = images / ops.sqrt(ops.mean(images**2, axis=(1, 2, 3), keepdims=True) + 1e-8)
            activities = ops.tanh(ops.conv(images, kernel, 1, "same"))
            goodness.append(ops.mean(activities**2, axis=(1, 2, 3)))
        differences = [goodness[0] - negative for negative in goodness[1:]]
        return ops.mean(ops.softplus(-4.0 * ops.stack(differences)))

    _, (by_maps, by_kernel) = value_and_gradients(loss, maps(model), kernel)
    expected = maps(model) - RATE * by_maps, kernel - RATE * by_kernel
    assert np.abs(by_maps).max() > 1e-4
    model.train_on_batch(x, y)
    np.testing.assert_allclose(maps(model), expected[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(layer.kernel, expected[1], rtol=0, atol=1e-6)


@mostly_slow("learning", [(0,), (1,), (2,), (1, 2), (0, 2)], quick=(1, 4), ids=str)
def test_it_is_moved_by_layer_1_and_no_other(learning):
    model = model_of()
    model.learning_layers = learning
    before = maps(model)
    model.train_on_batch(drawn(SHAPE), labels())
    if 0 in learning:
        assert moved(model, before)
    else:
        np.testing.assert_array_equal(maps(model), before)


def test_later_layers_losses_do_not_reach_it(layer_losses):
    model = model_of()
    x, y = drawn(SHAPE), labels()
    gradients = gradient_table(
        lambda: layer_losses(model, model.train_on, x, y), [model.label_embedding.maps]
    )
    assert [by_maps is not None for (by_maps,) in gradients] == [True, False, False]


@pytest.mark.slow
def test_greedy_moves_it_while_layer_1_learns():
    model = model_of(schedule="greedy")
    seen = [maps(model)]
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(maps(model)))
    model.fit(drawn(SHAPE), labels(), epochs=3, verbose=0, callbacks=[note])
    assert np.abs(seen[1] - seen[0]).max() > 1e-6
    np.testing.assert_array_equal(seen[2], seen[1])
    np.testing.assert_array_equal(seen[3], seen[1])


def test_a_frozen_first_layer_freezes_its_map():
    made = layers()
    made[0].trainable = False
    model = model_of(made)
    before = maps(model)
    model.train_on_batch(drawn(SHAPE), labels())
    np.testing.assert_array_equal(maps(model), before)


WAYS = {
    "alternating": lambda: model_of(schedule="alternating"),
    "pipelined": lambda: model_of(schedule="pipelined"),
    "windows": lambda: model_of(schedule="windows"),
    "compiled": lambda: model_of(layers(2), eager=False),
    "softmax head": lambda: model_of(readout="softmax"),
    "hybrid images": lambda: model_of(negatives=HybridImages(wrong_labels=True)),
    "perturbed images": lambda: model_of(negatives=Perturbation(wrong_labels=True)),
    "adversarial": lambda: model_of(negatives=Adversarial()),
    "a shortcut": lambda: model_of(
        [FFConv2D(3), FFResidual(convolution(), activation="relu"), FFDense(4)]
    ),
    "a shortcut about layer 1": lambda: model_of(
        [FFResidual(convolution(), activation="relu", merge="concatenate"), FFDense(4)]
    ),
    "a layer before layer 1": lambda: model_of([keras.layers.ZeroPadding2D(1), FFConv2D(3)]),
    "a dense layer": lambda: model_of([FFDense(5), FFDense(4)]),
    "attention": lambda: model_of([FFAttention(1, 4, patch_size=3), FFDense(4)]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WAYS)
def test_it_learns_whatever_stands_beside_it(name):
    model = WAYS[name]()
    before = maps(model)
    kernels = [layer.trainable_weights[0] for layer in model.ff_layers]
    starts = [convert_to_numpy(kernel) for kernel in kernels]
    model.fit(drawn(SHAPE), labels(), epochs=2, verbose=0)
    assert np.isfinite(maps(model)).all()
    assert moved(model, before)
    for start, kernel in zip(starts, kernels, strict=True):
        assert np.abs(convert_to_numpy(kernel) - start).max() > 1e-6


def test_not_even_scoring_moves_it():
    model = model_of()
    x, y = drawn(SHAPE), labels()
    before = maps(model)
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    model.samples(x, y)
    np.testing.assert_array_equal(maps(model), before)


# --- where it belongs ----------------------------------------------------------------------------


@pytest.mark.slow
def test_its_maps_are_in_layer_1s_optimizer_and_counted_once():
    model = model_of()
    variable = model.label_embedding.maps
    model.train_on_batch(drawn(SHAPE), labels())

    def holds(variables):
        return sum(one is variable for one in variables)

    assert [holds(layer.trainable_variables) for layer in model.ff_layers] == [1, 0, 0]
    assert holds(model.trainable_variables) == 1
    assert holds(model.weights) == 1
    owned = [holds(layer.optimizer._trainable_variables) for layer in model.ff_layers]
    assert owned == [1, 0, 0]
    assert variable.shape == (CLASSES, 6, 6)
    # Three layers of 3 × 3 filters and a bias, the first with a channel more.
    expected = 3 * (2 * 9 + 1) + 2 * 3 * (3 * 9 + 1) + CLASSES * 36
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert (
        trainable == expected == model.count_params() - 2
    )  # and how many layers have trained, and a temperature


@pytest.mark.slow
def test_adam_keeps_its_moments_in_layer_1():
    model = model_of()
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    model.train_on_batch(drawn(SHAPE), labels())
    shapes = [
        [tuple(variable.shape) for variable in layer.optimizer.variables].count((CLASSES, 6, 6))
        for layer in model.ff_layers
    ]
    assert shapes == [2, 0, 0]


@pytest.mark.slow
def test_locality_counts_it():
    assert model_of().locality == 2  # the filters, and the maps
    assert model_of([FFDense(4)]).locality == 2
    plain = keras_ff.FFModel(layers(), CLASSES, label_embedding="overlay")
    plain.build((None, *SHAPE[1:]))
    assert plain.locality == 1
    assert model_of(schedule="alternating").locality == 3
    model = model_of([FFConv2D(3), FFAttention(1, 4, patch_size=3)])
    assert [layer.locality for layer in model.ff_layers] == [2, 4]
    assert model.locality == 4


def test_the_first_layer_sees_the_map_of_each_label():
    model = model_of(negatives=RandomLabels(count=2, seed=1))
    x, y = drawn(SHAPE), labels()
    samples = model.samples(x, y)
    unit = maps(model) / np.linalg.norm(maps(model), axis=(1, 2), keepdims=True)
    length = np.sqrt(0.5 * np.sum(x**2, axis=(1, 2, 3)))[:, None, None]
    np.testing.assert_allclose(samples["positive"][..., 1], length * unit[y], rtol=1e-5)
    for stream in samples["negative"]:
        np.testing.assert_array_equal(stream[..., :1], x)
        for row in range(8):
            shown = [np.allclose(stream[row, ..., 1], length[row] * one, 1e-4) for one in unit]
            assert sum(shown) == 1 and not shown[y[row]]


# --- saving --------------------------------------------------------------------------------------


def arrays(group):
    """Shapes of all arrays in a file of weights."""
    found = []
    group.visititems(
        lambda name, item: found.append(item.shape) if isinstance(item, h5py.Dataset) else None
    )
    return found


@pytest.mark.slow
def test_it_is_saved_once(tmp_path):
    model = model_of()
    model.train_on_batch(drawn(SHAPE), labels())
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        assert arrays(file).count((CLASSES, 6, 6)) == 1
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = json.loads(archive.read("config.json"))
    assert json.dumps(config).count('"class_name": "LabelMap"') == 1


@pytest.mark.slow
@pytest.mark.parametrize("way", ["whole", "weights"])
def test_loaded_it_goes_on_as_before(way, tmp_path):
    """Another seed, so that only what was saved can make the maps equal."""
    model = model_of()
    x, y = drawn(SHAPE), labels()
    for _ in range(2):
        model.train_on_batch(x, y)
    if way == "whole":
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
    else:
        model.save_weights(tmp_path / "model.weights.h5")
        loaded = model_of()
        loaded.label_embedding.maps.assign(np.zeros((CLASSES, 6, 6)))
        loaded.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(maps(model), maps(loaded))
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    before = maps(model)
    for each in (model, loaded):
        each.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    assert moved(model, before)
    np.testing.assert_allclose(maps(model), maps(loaded), rtol=0, atol=1e-6)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    assert sum(one is loaded.label_embedding.maps for one in loaded.trainable_variables) == 1


def test_a_copy_by_its_configuration_has_maps_of_its_own():
    model = model_of()
    copy = keras_ff.FFModel.from_config(model.get_config())
    copy.build((None, *SHAPE[1:]))
    assert copy.label_embedding is not model.label_embedding
    assert copy.label_embedding.maps is not model.label_embedding.maps
    np.testing.assert_array_equal(maps(copy), maps(model))  # of the same seed
    assert copy.ff_layers[0].label_embedding is copy.label_embedding
    assert copy.ff_layers[1].label_embedding is None


def test_one_map_does_not_serve_two_models():
    embedding = LabelMap()
    first = keras_ff.FFModel(layers(1), CLASSES, label_embedding=embedding)
    first.build((None, *SHAPE[1:]))
    second = keras_ff.FFModel(layers(1), CLASSES, label_embedding=embedding)
    with pytest.raises(ValueError, match=r"another model needs a LabelMap of its own.*Received"):
        second.build((None, 7, 7, 1))
