"""Training and scoring with acceleration, and with `KERAS_FF_FAST=0`, which takes plain steps."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.fast import fused_step, fused_update, label_product, step_cache
from keras_ff.layers import FFConv2D, FFDense, FFResidual
from keras_ff.negatives import RandomLabels
from tests.helpers import drawn

pytestmark = pytest.mark.tensorflow("JAX compiles a whole step, and fuses in it what it likes")

CLASSES = 4
STEPS = 20
SAMPLES = 16


def dense():
    """Contrastive, of layers that are fused, the last two of which share a compiled step."""
    return {"layers": [FFDense(600) for _ in range(3)], "negatives": RandomLabels(seed=1)}


def grouped(**settings):
    return {"goodness": "class_groups", "normalization": "class_groups", **settings}


def convolutions():
    layers = [FFConv2D(8, 3, activation="relu", **grouped()) for _ in range(3)]
    return {"layers": layers, "label_embedding": None, "negatives": None}


def residual():
    layers = [
        FFConv2D(8, 3, **grouped()),
        FFResidual(
            keras.layers.Conv2D(8, 3, padding="same"),
            activation="relu",
            merge="class_groups",
            **grouped(),
        ),
        FFConv2D(8, 3, **grouped(pooling=keras.layers.AveragePooling2D(2))),
        FFResidual(keras.layers.Dense(12), span=1, merge="concatenate", **grouped()),
    ]
    return {"layers": layers, "label_embedding": None, "negatives": None}


MODELS = {"dense": dense, "convolutions": convolutions, "residual": residual}
# Parts of the acceleration that a model takes in training and scoring.
PARTS = {
    "dense": {"fused steps", "label product", "compiled updates", "shared steps"},
    "convolutions": {"fused steps", "shared steps"},
    "residual": {"fused steps"},
}


def recorded(monkeypatch):
    """The names of the parts that are used from now on, a set that grows."""
    used = set()
    for module, function, name in (
        (fused_step, "compute_gradients", "fused steps"),
        (label_product, "separated", "label product"),
        (step_cache, "halves", "shared steps"),
    ):
        original = getattr(module, function)

        def recording(*arguments, original=original, name=name):
            used.add(name)
            return original(*arguments)

        monkeypatch.setattr(module, function, recording)
    update = fused_update.update

    def updating(optimizer, gradients, variables):
        if sum(np.prod(one.shape) for one in variables) >= fused_update.LEAST_WEIGHTS:
            used.add("compiled updates")
        update(optimizer, gradients, variables)

    monkeypatch.setattr(fused_update, "update", updating)
    return used


def run(name, fast, monkeypatch):
    """Weights after 20 steps, scores, and which parts of the acceleration were used."""
    keras.utils.set_random_seed(3)
    images = name != "dense"
    x, y = drawn(SAMPLES, *((8, 8, 1) if images else (30,))), np.arange(SAMPLES) % CLASSES
    with monkeypatch.context() as patch:
        patch.setenv("KERAS_FF_FAST", "1" if fast else "0")
        if images:
            patch.setattr(fused_step, "LEAST_ACTIVITIES", 0)
        used = recorded(patch)
        model = keras_ff.FFModel(
            num_classes=CLASSES, layer_schedule="simultaneous", **MODELS[name]()
        )
        model.compile(keras.optimizers.SGD(0.05))
        model.build(x.shape)
        start = weights(model)
        model.fit(x, y, batch_size=8, epochs=STEPS * 8 // SAMPLES, shuffle=False, verbose=0)
        scores = model.predict(x, verbose=0)
    moves = [distance(*pair) for pair in zip(weights(model), start, strict=True)]
    assert min(moves) > 0.01  # all that learns has moved
    return weights(model), scores, used


def weights(model):
    return [convert_to_numpy(weight) for weight in model.trainable_variables]


def distance(found, expected):
    """How far an array is from another, as a share of the latter's length."""
    difference = np.linalg.norm(np.asarray(found, "float64") - expected)
    return difference / max(np.linalg.norm(np.asarray(expected, "float64")), 1e-12)


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert distance(one, other) < 1e-4


@pytest.fixture(scope="module")
def plain():
    """A function that runs a model without acceleration, once."""
    known = {}

    def result(name, monkeypatch):
        if name not in known:
            known[name] = run(name, False, monkeypatch)
        return known[name]

    return result


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_weights_and_scores_are_those_of_plain_steps(name, plain, monkeypatch):
    expected, expected_scores, unused = plain(name, monkeypatch)
    assert not unused
    found, scores, used = run(name, True, monkeypatch)
    assert used >= PARTS[name]
    assert_equal(found, expected)
    assert_equal([scores], [expected_scores])


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_a_gradient_that_is_off_by_a_hundredth_is_noticed(name, plain, monkeypatch):
    apply_gradients = fused_step.apply_gradients

    def off(layer, found):
        rows, delta, own = found
        apply_gradients(layer, (rows, 1.01 * delta, own))

    monkeypatch.setattr(fused_step, "apply_gradients", off)
    found, _, _ = run(name, True, monkeypatch)
    with pytest.raises(AssertionError):
        assert_equal(found, plain(name, monkeypatch)[0])


@pytest.mark.slow
def test_it_is_read_when_a_step_is_traced(monkeypatch):
    used = recorded(monkeypatch)
    model = keras_ff.FFModel([FFDense(600)], CLASSES)
    model.compile()
    x, y = drawn(8, 30), np.arange(8) % CLASSES
    monkeypatch.setenv("KERAS_FF_FAST", "0")
    model.train_on_batch(x, y)
    assert not used
    monkeypatch.setenv("KERAS_FF_FAST", "1")
    model.train_on_batch(x, y)  # as it was traced
    assert not used
    model.make_train_function(force=True)
    model.train_on_batch(x, y)
    assert "fused steps" in used
