"""Layers that differ in their weights alone share one compiled step, with the same outcome."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import fast
from keras_ff.fast import fused_step, step_cache
from keras_ff.fast.fused_step import LEAST_ACTIVITIES
from keras_ff.layers import FFConv2D, FFDense, FFLayer

pytestmark = pytest.mark.tensorflow("JAX compiles the steps of all layers as one program")

WIDTH = LEAST_ACTIVITIES
KIND = step_cache._kind


def dense(**settings):
    return FFDense(WIDTH, **settings)


def model_of(layers, optimizer="adam", loss=None, class_groups=False, **settings):
    if class_groups:
        settings |= {"label_embedding": None, "negatives": None}
    model = keras_ff.FFModel(layers, num_classes=4, layer_schedule="simultaneous", **settings)
    model.compile(optimizer, loss)
    return model


def batch(shape=(16,)):
    generator = np.random.default_rng(0)
    return generator.random((8, *shape), "float32"), generator.integers(0, 4, 8)


def layers_traced(model, monkeypatch):
    """The layers that trace steps of their own, a set; none of them is taken."""
    import tensorflow as tf

    traced = set()

    def recorded(function):
        def wrapper(layer, *args, **kwargs):
            traced.add(layer)
            return function(layer, *args, **kwargs)

        return wrapper

    monkeypatch.setattr(FFLayer, "objective", recorded(FFLayer.objective))
    compute_gradients = recorded(fused_step.compute_gradients)
    monkeypatch.setattr(fused_step, "compute_gradients", compute_gradients)
    model.build((None, 16))
    tf.function(model.train_step).get_concrete_function(batch())
    return traced


def convolution(**settings):
    return FFConv2D(
        8, activation="relu", goodness="class_groups", normalization="class_groups", **settings
    )


MODELS = {
    "dropout and learned thresholds": lambda: model_of(
        [dense(dropout=0.3) for _ in range(3)], loss=keras_ff.losses.Logistic("learned")
    ),
    "convolutions": lambda: model_of([convolution() for _ in range(3)], class_groups=True),
    "schedule and average": lambda: model_of(
        [dense() for _ in range(3)],
        keras.optimizers.AdamW(
            keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5),
            use_ema=True,
            ema_momentum=0.5,
        ),
    ),
    "Muon that leaves a layer to AdamW": lambda: model_of(
        [dense(), dense(), dense(name="last")],
        keras_ff.optimizers.Muon(0.01, exclude_layers=["last/"]),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_outcome_is_that_of_steps_of_their_own(name, monkeypatch):
    x, y = batch((8, 8, 8) if name == "convolutions" else (16,))
    ends = []
    for kind in (KIND, lambda *_: None):
        monkeypatch.setattr(step_cache, "_kind", kind)
        keras.utils.set_random_seed(1)
        model = MODELS[name]()
        for _ in range(3):
            logs = model.train_on_batch(x, y, return_dict=True)
        state = [*model.variables, *model.optimizer.variables]
        ends.append(([variable.numpy() for variable in state], logs))
    for ours, plain in zip(*(weights for weights, _ in ends), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-6)
    assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-4)


@pytest.mark.slow
def test_every_layer_moves_its_own_weights():
    model = model_of([dense() for _ in range(4)])
    x, y = batch()
    model.train_on_batch(x, y)
    before = [layer.kernel.numpy() for layer in model.ff_layers]
    model.train_on_batch(x, y)
    moves = [layer.kernel.numpy() - old for layer, old in zip(model.ff_layers, before, strict=True)]
    assert all(np.abs(move).max() > 1e-5 for move in moves)
    assert np.abs(moves[1] - moves[2]).max() > 1e-5


@pytest.mark.slow
def test_equal_layers_are_traced_once(monkeypatch):
    model = model_of([dense() for _ in range(6)])
    assert len(layers_traced(model, monkeypatch)) == 2  # the first takes samples with labels


def needed_before(operation):
    """All operations of a graph that are done before one of them begins."""
    found, waiting = set(), [operation]
    while waiting:
        last = waiting.pop()
        for one in [*(tensor.op for tensor in last.inputs), *last.control_inputs]:
            if one not in found:
                found.add(one)
                waiting.append(one)
    return found


@pytest.mark.slow
def test_a_layer_waits_for_the_second_before_it_and_not_for_the_one_before():
    """Or what the layers keep to learn from would grow with their number."""
    import tensorflow as tf

    model = model_of([dense() for _ in range(6)])
    model.build((None, 16))
    graph = tf.function(model.train_step).get_concrete_function(batch()).graph
    calls = [one for one in graph.get_operations() if "Call" in one.type]
    shared = [one for one in calls if "standing_in" in one.get_attr("f").name]
    answers, steps = shared[::2], shared[1::2]
    assert len(answers) == len(steps) == 5  # of all layers but the first
    for number, answer in enumerate(answers):
        taken = needed_before(answer) & set(steps)
        assert taken == set(steps[: max(number - 1, 0)])


@pytest.mark.slow
def test_a_step_that_is_traced_again_waits_for_its_own_layers():
    """What a trace keeps, compiled halves and all, is of its own graph."""
    import tensorflow as tf

    model = model_of([dense() for _ in range(4)])
    model.build((None, 16))
    stepper, other = fast.stepper(model), fast.stepper(model)
    assert other._halves is not stepper._halves and other._done is not stepper._done
    step = tf.function(model.train_step)
    for rows in (8, 6):
        graph = step.get_concrete_function(tuple(part[:rows] for part in batch())).graph
        for operation in graph.get_operations():
            assert all(one.graph is graph for one in needed_before(operation))


@pytest.mark.slow
def test_layers_of_another_shape_are_traced_by_themselves(monkeypatch):
    layers = [dense(), dense(), dense(), FFDense(2 * WIDTH), FFDense(2 * WIDTH)]
    # Of widths and inputs there are: the first, two equal ones, and two that differ in one.
    assert len(layers_traced(model_of(layers), monkeypatch)) == 4


def scaled_relu(factor):
    return lambda x: factor * keras.ops.relu(x)


class Below(keras.constraints.Constraint):
    """A user's own, whose configuration does not tell it from others."""

    def __init__(self, bound):
        self.bound = bound

    def __call__(self, weights):
        return keras.ops.minimum(weights, self.bound)


class OwnGoodness(keras_ff.goodness.MeanOfSquares):
    """A user's own, of which nothing is known."""


# What layers have beside a plain one: each differs from that and from all others.
DIFFERENT = {
    "activation": [{"activation": "tanh"}],
    "functions made by one function": [{"activation": scaled_relu(f)} for f in (1.0, 2.0)],
    "dropout": [{"dropout": 0.1}, {"dropout": 0.2}],
    "normalisation": [{"normalization": None}],
    "losses": [{"loss": keras_ff.losses.SymBa(alpha)} for alpha in (4.0, 8.0)],
    "thresholds": [{"loss": keras_ff.losses.Logistic(threshold)} for threshold in (1.0, 2.0)],
    "goodness": [{"goodness": "sum_of_squares"}],
    "optimizer": [{"optimizer": "sgd"}],
    "optimizers' settings": [
        {"optimizer": keras.optimizers.Adam(clipnorm=norm)} for norm in (1e-6, 1.0)
    ],
    "schedules": [
        {"optimizer": keras.optimizers.Adam(keras_ff.learning_rates.ConstantThenLinear(rate, 9))}
        for rate in (1e-3, 1e-2)
    ],
    "bias": [{"use_bias": False}],
    "constraints": [{"kernel_constraint": Below(bound)} for bound in (0.1, 0.2)],
    "parts of a user's own": [{"goodness": OwnGoodness()}, {"goodness": OwnGoodness()}],
}


@pytest.mark.slow
def test_layers_that_differ_do_not_share(monkeypatch):
    names, layers = ["first", "plain"], [dense(), dense()]
    for name, every in DIFFERENT.items():
        names += [name] * len(every)
        layers += [dense(**settings) for settings in every]
    names.append("residual")
    layers.append(keras_ff.layers.FFResidual(keras.layers.Dense(WIDTH), activation="relu"))
    # One that is like the plain one, to see that this would be noticed.
    names.append("as plain")
    layers.append(dense())
    traced = layers_traced(model_of(layers), monkeypatch)
    alike = [name for name, layer in zip(names, layers, strict=True) if layer not in traced]
    assert alike == ["as plain"]


@pytest.mark.slow
def test_a_bias_that_stays_as_it_is_is_no_reason_to_share():
    model = model_of([dense() for _ in range(3)])
    x, y = batch()
    model.build((None, 16))
    for layer in model.ff_layers:
        layer.transform.bias.assign(keras.ops.zeros(WIDTH))
    model.ff_layers[2].transform.bias.trainable = False
    model.train_on_batch(x, y)
    moved = [np.abs(layer.transform.bias.numpy()).max() > 0 for layer in model.ff_layers]
    assert moved == [True, True, False]


@pytest.mark.slow
def test_weights_excluded_from_decay_keep_to_it():
    model = model_of([dense() for _ in range(3)], keras.optimizers.SGD(0.1, weight_decay=0.5))
    model.build((None, 16))
    middle, last = model.ff_layers[1:]
    last.optimizer.exclude_from_weight_decay(var_list=[last.kernel])
    before = [np.abs(layer.kernel.numpy()).sum() for layer in (middle, last)]
    model.train_on_batch(*batch())
    shrunk = [
        1 - np.abs(layer.kernel.numpy()).sum() / old
        for layer, old in zip((middle, last), before, strict=True)
    ]
    np.testing.assert_allclose(shrunk, [0.05, 0.0], atol=0.01)


@pytest.mark.slow
def test_learning_rates_set_later_are_those_of_their_layers():
    model = model_of([dense() for _ in range(4)], keras.optimizers.SGD(0.1))
    x, y = batch()
    model.train_on_batch(x, y)
    model.ff_layers[2].optimizer.learning_rate = 0.0
    before = [layer.kernel.numpy() for layer in model.ff_layers]
    model.train_on_batch(x, y)
    moved = [
        np.abs(layer.kernel.numpy() - old).max() > 0
        for layer, old in zip(model.ff_layers, before, strict=True)
    ]
    assert moved == [True, True, False, True]
