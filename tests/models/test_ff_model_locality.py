"""Locality in numbers: no gradient leaves a layer, every layer that is to learn does."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.layers import FFDense, FFLayer
from tests.helpers import drawn, mostly_slow
from tests.helpers.either_backend import gradient_table

LAYERS = 3


def dense_layers(normalization="length", dropout=0.0):
    return [
        FFDense(
            5 + k,
            activation="tanh",
            normalization=normalization,
            dropout=dropout,
            loss="symba",
            optimizer=keras.optimizers.SGD(0.1),
            kernel_initializer=keras.initializers.GlorotNormal(seed=k),
        )
        for k in range(LAYERS)
    ]


def convolutional_layers():
    settings = {"loss": "logistic", "optimizer": "adam"}
    return [
        FFLayer(keras.layers.Conv2D(3, 3, activation="relu"), **settings),
        FFLayer(
            keras.Sequential(
                [keras.layers.Conv2D(4, 3, use_bias=False), keras.layers.BatchNormalization()]
            ),
            activation="relu",
            normalization="batch",
            **settings,
        ),
        FFDense(6, loss=keras_ff.losses.Logistic(threshold="learned"), optimizer="sgd"),
    ]


STACKS = {
    "length": (dense_layers, (8, 6)),
    "no normalization": (lambda: dense_layers(None), (8, 6)),
    "batch": (lambda: dense_layers("batch"), (8, 6)),
    "layer": (lambda: dense_layers("layer"), (8, 6)),
    "dropout": (lambda: dense_layers(dropout=0.2), (8, 6)),
    "convolutional": (convolutional_layers, (8, 6, 6, 2)),
}


def chain(layers, inputs, method):
    """Losses of all layers, each fed by the one before it."""
    losses = []
    for layer in layers:
        metrics, batch = getattr(layer, method)(inputs)
        inputs = batch.inputs
        losses.append(metrics["loss"])
    return losses


def largest(gradients):
    return max((0.0 if part is None else np.abs(part).max()) for part in gradients)


def by_owner(function, owners):
    """The largest gradient of each of a function's tensors by any of an owner's variables.

    Owners are lists of variables. Returns a list for each of them.
    """
    table = gradient_table(function, [variable for owner in owners for variable in owner])
    ends = np.cumsum([len(owner) for owner in owners])
    return [
        [largest(row[end - len(owner) : end]) for row in table]
        for owner, end in zip(owners, ends, strict=True)
    ]


@pytest.mark.parametrize("method", ["train_step", "test_step"])
@pytest.mark.parametrize("name", STACKS)
def test_gradients_of_a_layers_loss_stay_in_the_layer(name, method):
    """d loss_k / d w_j for every pair: exactly nothing where j is not k."""
    make, shape = STACKS[name]
    layers = make()
    chain(layers, drawn(shape), "test_step")  # builds them
    inputs = keras.Variable(drawn(shape, seed=2))
    by_inputs, *by_weights = by_owner(
        lambda: chain(layers, keras.ops.convert_to_tensor(inputs), method),
        [[inputs], *[layer.trainable_variables for layer in layers]],
    )
    for k in range(LAYERS):
        for j in range(LAYERS):
            if j == k:
                assert by_weights[j][k] > 1e-4
            else:
                assert by_weights[j][k] == 0.0, f"d loss_{k} / d w_{j}"
        assert (by_inputs[k] > 0) == (k == 0)


def model_of(layers, schedule="simultaneous", classes=2, **settings):
    model = keras_ff.FFModel(layers, classes, layer_schedule=schedule, **settings)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    return model


def batch(shape=(8, 6), classes=2):
    return drawn(shape), np.arange(shape[0]) % classes


def test_gradients_stay_in_their_layers_within_the_models_own_step(layer_losses):
    """The same for the step that `fit` takes, softmax head included."""
    model = model_of(dense_layers(), readout="softmax")
    x, y = batch()
    model.train_on_batch(x, y)  # builds all, and moves the head away from zero
    by_weights = by_owner(
        lambda: [
            *layer_losses(model, model.train_on, x, y),
            model.scores(x),
        ],
        [layer.trainable_variables for layer in model.ff_layers],
    )
    for j, (*of_losses, of_scores) in enumerate(by_weights):
        assert [largest_of_loss > 1e-4 for largest_of_loss in of_losses] == [
            j == k for k in range(LAYERS)
        ]
        assert of_scores == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("depth", range(1, LAYERS))
def test_a_layer_learns_as_if_there_were_none_above_it(depth):
    x, y = batch()
    tall, short = model_of(dense_layers()), model_of(dense_layers()[:depth])
    for _ in range(3):
        tall.train_on_batch(x, y)
        short.train_on_batch(x, y)
    for one, other in zip(tall.ff_layers, short.ff_layers, strict=False):
        for first, second in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(first, second)


@mostly_slow("name", STACKS, quick=(0,))
def test_every_weight_of_every_layer_moves_in_training(name):
    make, shape = STACKS[name]
    embedding = "append" if len(shape) == 2 else "overlay"
    model = model_of(make(), label_embedding=embedding)
    x, y = batch(shape)
    model.build(x.shape)
    before = [[convert_to_numpy(w) for w in layer.trainable_weights] for layer in model.ff_layers]
    model.train_on_batch(x, y)
    for old, layer in zip(before, model.ff_layers, strict=True):
        for one, weight in zip(old, layer.trainable_weights, strict=True):
            assert np.abs(convert_to_numpy(weight) - one).max() > 1e-7, weight.path


@mostly_slow("learning", [(0,), (2,), (0, 2)], quick=(0, 2), ids=str)
@pytest.mark.parametrize("name", ["length", "convolutional"])
def test_layers_that_do_not_learn_stay_bit_identical(name, learning):
    """Weights, statistics and optimizers of all others; every weight of those that learn moves."""
    make, shape = STACKS[name]
    embedding = "append" if len(shape) == 2 else "overlay"
    model = model_of(make(), label_embedding=embedding)
    x, y = batch(shape)
    model.train_on_batch(x, y)
    model.learning_layers = learning

    def state(layer):
        return [convert_to_numpy(v) for v in (*layer.weights, *layer.optimizer.variables)]

    before = [state(layer) for layer in model.ff_layers]
    trainable = [layer.trainable_weights for layer in model.ff_layers]
    kernels = [[convert_to_numpy(weight) for weight in weights] for weights in trainable]
    model.train_on_batch(x, y)
    for index, layer in enumerate(model.ff_layers):
        if index in learning:
            for old, weight in zip(kernels[index], layer.trainable_weights, strict=True):
                assert np.abs(convert_to_numpy(weight) - old).max() > 1e-7, weight.path
            assert int(layer.optimizer.iterations) == 2
        else:
            for old, new in zip(before[index], state(layer), strict=True):
                np.testing.assert_array_equal(old, new)
            assert int(layer.optimizer.iterations) == 1


@pytest.mark.slow
@mostly_slow("eager", [True, False], quick=(0,))
def test_greedy_moves_one_layer_at_a_time(eager):
    model = keras_ff.FFModel(dense_layers("batch"), 2, layer_schedule="greedy")
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=eager)
    x, y = batch()
    model.build(x.shape)
    seen = [[layer.get_weights() for layer in model.ff_layers]]
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            [layer.get_weights() for layer in model.ff_layers]
        )
    )
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, callbacks=[callback])
    for epoch in range(3):
        for index in range(3):
            old, new = seen[epoch][index], seen[epoch + 1][index]
            same = [np.array_equal(one, other) for one, other in zip(old, new, strict=True)]
            assert same == [index != epoch] * len(same), f"epoch {epoch}, layer {index}"


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (lambda: [FFDense(4), FFDense(4)], 1),
        (
            lambda: [
                FFDense(4),
                FFLayer(keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])),
            ],
            2,
        ),
    ],
)
def test_locality_is_counted(layers, expected):
    model = keras_ff.FFModel(layers(), 2)
    model.build((None, 6))
    assert model.locality == expected
    printed = []
    model.summary(print_fn=lambda text, **kwargs: printed.append(text))
    assert f"at most {expected} trainable matrices" in printed[-1]
