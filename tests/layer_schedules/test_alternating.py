"""Alternating: overlapping pairs of layers, even and odd steps in turn."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_ff
from keras_ff.layers import FFAttention, FFDense, FFLayer
from keras_ff.losses import Logistic, SupCon
from keras_ff.negatives import RandomLabels
from tests.helpers.either_backend import gradient_table
from tests.helpers.schedules import (
    RATE,
    assert_same_weights,
    batch,
    dense_layers,
    model_of,
    moved,
    weights_of,
)

STRENGTH = 0.1

ALPHA = 4.0


def labelled(x, labels, classes=2):
    """The label behind the sample, at its share of the sample's energy."""
    length = np.sqrt(STRENGTH * np.sum(np.square(x), axis=1, keepdims=True))
    return np.concatenate([x, length * np.eye(classes)[labels]], axis=1)


def through(weights, inputs):
    """Activities of one layer: mean square 1, dense, tanh."""
    mean_square = tf.reduce_mean(tf.square(inputs), axis=1, keepdims=True)
    kernel, bias = weights
    return tf.tanh(inputs * tf.math.rsqrt(mean_square + 1e-8) @ kernel + bias)


def step_by_hand(weights, inputs, chains):
    """SGD on the last layer's loss of every chain, in float64; the weights after it."""
    after = []
    for chain in chains:
        variables = [tf.constant(array, tf.float64) for index in chain for array in weights[index]]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            activities = inputs
            for place in range(len(chain)):
                activities = through(variables[2 * place : 2 * place + 2], activities)
            goodness = tf.reshape(tf.reduce_mean(tf.square(activities), axis=1), (2, -1))
            loss = tf.reduce_mean(tf.nn.softplus(-ALPHA * (goodness[0] - goodness[1])))
        gradients = tape.gradient(loss, variables)
        inputs = tf.constant(activities.numpy())
        new = [(v - RATE * g).numpy() for v, g in zip(variables, gradients, strict=True)]
        after.extend(new[start : start + 2] for start in range(0, len(new), 2))
    return after


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "even", "odd"),
    [
        (1, [(0,)], [(0,)]),
        (2, [(0, 1)], [(0,), (1,)]),
        (4, [(0, 1), (2, 3)], [(0,), (1, 2), (3,)]),
        (5, [(0, 1), (2, 3), (4,)], [(0,), (1, 2), (3, 4)]),
    ],
)
def test_pairs_learn_from_their_second_layers_loss_in_turn(number, even, odd):
    """Four steps, all weights, with the wrong one of two labels as the negative."""
    loss = keras_ff.losses.SymBa(ALPHA)
    model = model_of(dense_layers(number), "alternating", loss=loss, negatives="all_labels")
    x, y = batch()
    model.build(x.shape)
    x64 = x.astype("float64")
    inputs = np.concatenate([labelled(x64, y), labelled(x64, 1 - y)])
    expected = [[array.astype("float64") for array in of_layer] for of_layer in weights_of(model)]
    for step in range(4):
        model.train_on_batch(x, y)
        expected = step_by_hand(expected, inputs, (even, odd)[step % 2])
        for of_layer, by_hand in zip(weights_of(model), expected, strict=True):
            for one, other in zip(of_layer, by_hand, strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)
    assert [int(layer.optimizer.iterations) for layer in model.ff_layers] == [4] * number


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "crossing"), [(0, {(0, 1), (2, 3)}), (1, {(1, 2), (3, 4)})], ids=["even", "odd"]
)
def test_a_gradient_crosses_exactly_one_boundary(step, crossing, layer_losses):
    """d loss_k / d w_j within the model's own step, for every pair of layers."""
    model = model_of(dense_layers(5), "alternating")
    x, y = batch()
    for _ in range(step + 2):  # as many, and the parity stays
        model.train_on_batch(x, y)
    weights = [layer.kernel for layer in model.ff_layers]
    gradients = gradient_table(lambda: layer_losses(model, model.train_on, x, y), weights)
    assert len(gradients) == 5
    reached = set()
    for k in range(5):
        for j in range(5):
            if gradients[k][j] is not None and np.abs(gradients[k][j]).max() > 0:
                reached.add((j, k))
    assert reached == crossing | {(k, k) for k in range(5)}


@pytest.mark.slow
def test_only_the_pairs_second_loss_counts_in_the_first_layers_step():
    """Another goodness in layer 1, and so another loss: its step in the pair is the same."""
    x, y = batch()

    def after_a_step(goodness):
        layers = dense_layers(2)
        layers[0].goodness = goodness
        model = model_of(layers, "alternating", negatives="all_labels")
        model.train_on_batch(x, y)
        first = weights_of(model)
        model.train_on_batch(x, y)
        return first, weights_of(model)

    even, odd = after_a_step(keras_ff.goodness.MeanOfSquares())
    other_even, other_odd = after_a_step(keras_ff.goodness.MeanActivity())
    for one, other in zip(even, other_even, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert np.abs(odd[0][0] - other_odd[0][0]).max() > 1e-4  # in an odd step layer 1 is by itself


@pytest.mark.slow
def test_compiled_steps_alternate_as_eager_ones_do():
    x, y = batch((10, 6))
    models = []
    for eager in (True, False):
        model = model_of(
            dense_layers(2), "alternating", eager=eager, negatives=RandomLabels(seed=3)
        )
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        models.append(model)
    assert_same_weights(*models, atol=5e-5)  # compiled and eager products round differently


@pytest.mark.slow
def test_alternating_with_class_groups_and_sample_weights():
    """Samples of no weight do not count."""
    x, y = batch()

    def trained(samples, **arguments):
        layers = [FFDense(4, goodness="class_groups", activation="tanh") for _ in range(3)]
        for k, layer in enumerate(layers):
            layer.transform.kernel_initializer = keras.initializers.GlorotNormal(seed=k)
        model = model_of(
            layers, "alternating", label_embedding=None, negatives=None, metrics=["accuracy"]
        )
        for _ in range(3):
            model.train_on_batch(x[:samples], y[:samples], **arguments)
        return model

    half = trained(4)
    weighted = trained(8, sample_weight=np.array([2.0] * 4 + [0.0] * 4, "float32"))
    assert_same_weights(half, weighted)
    assert moved(half, weights_of(trained(8))) == (0, 1, 2)


@pytest.mark.slow
@pytest.mark.not_under("jax", "what is gathered for one loss scale cannot leave a branch")
def test_alternating_under_mixed_float16():
    """Steps that are skipped for an overflow are none: the pairs are those of the next one."""
    x, y = batch()
    moves = {}
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        loss = keras_ff.losses.SymBa(ALPHA)
        model = model_of(dense_layers(3), "alternating", negatives="all_labels", loss=loss)
        model.build(x.shape)
        before = model.get_weights()
        for _ in range(8):
            if int(model.optimizer.iterations) < 2:
                model.train_on_batch(x, y)
        assert int(model.optimizer.iterations) == 2
        moves[policy] = [new - old for new, old in zip(model.get_weights(), before, strict=True)]
    for one, other in zip(moves["float32"], moves["mixed_float16"], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=0.01 * np.abs(one).max())


@pytest.mark.slow
@pytest.mark.parametrize(
    "part",
    [
        lambda: {"loss": Logistic("learned")},
        lambda: {"auxiliary": SupCon(4)},
    ],
    ids=["threshold", "auxiliary"],
)
def test_what_has_no_part_in_a_pairs_loss_is_left_alone_without_a_warning(part):
    """The first layer of a pair steps by the second one's loss: its own threshold or head stays."""
    first = FFDense(5, **part())
    model = model_of([first, FFDense(4)], "alternating")
    x, y = batch()
    model.build(x.shape)

    def own():
        way = {id(weight) for weight in first.transform.trainable_weights}
        return [keras.ops.convert_to_numpy(w) for w in first.trainable_weights if id(w) not in way]

    before = own()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.train_on_batch(x, y)
        for old, new in zip(before, own(), strict=True):
            np.testing.assert_array_equal(old, new)
        model.train_on_batch(x, y)
    assert any(np.any(old != new) for old, new in zip(before, own(), strict=True))


@pytest.mark.parametrize("between", [keras_ff.layers.Opaque(np.sign), None], ids=["opaque", "none"])
def test_a_pair_with_something_between_that_passes_no_gradient(between):
    """The first of the pair has nothing to learn from in that step, and the second learns."""
    layers = dense_layers(2)
    model = model_of([layers[0], *([between] if between else []), layers[1]], "alternating")
    x, y = batch()
    model.build(x.shape)
    before = weights_of(model)
    model.train_on_batch(x, y)
    assert moved(model, before) == ((1,) if between else (0, 1))
    before = weights_of(model)
    model.train_on_batch(x, y)
    assert moved(model, before) == (0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [(0,), (1,), (0, 2), (2, 3)], ids=str)
def test_layers_that_are_not_to_learn_stay_as_they_are(chosen):
    model = model_of(dense_layers(4), "alternating")
    x, y = batch()
    model.build(x.shape)
    model.learning_layers = chosen
    before = weights_of(model)
    for _ in range(2):
        model.train_on_batch(x, y)
    assert moved(model, before) == chosen


@pytest.mark.parametrize(
    ("make", "alone", "in_pairs"),
    [
        (lambda: dense_layers(1), 1, 1),
        (lambda: dense_layers(3), 1, 2),
        (
            lambda: [
                FFAttention(1, 4, patch_size=4),
                FFDense(4),
                FFLayer(keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])),
            ],
            4,
            5,
        ),
    ],
)
def test_locality_counts_both_layers_of_a_pair(make, alone, in_pairs):
    for schedule, expected in (
        ("simultaneous", alone),
        ("pipelined", alone),
        ("alternating", in_pairs),
    ):
        model = model_of(make(), schedule, label_embedding="overlay")
        model.build((None, 8, 8, 1))
        assert model.locality == expected, schedule


def test_compiled_alternating_refuses_one_loss_scale_for_all():
    keras.config.set_dtype_policy("mixed_float16")
    model = keras_ff.FFModel(dense_layers(3), 2, layer_schedule="alternating")
    with pytest.raises(ValueError, match=r"mixed_bfloat16.*Received: layer_schedule=Alternating"):
        model.compile("sgd")
    model.compile("sgd", run_eagerly=True)
