"""Training under JAX and PyTorch, each named by KERAS_BACKEND."""

import itertools
import os
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import sklearn.datasets
from keras import ops

import keras_ff
from keras_ff.layers import FFAttention, FFConv2D, FFDense, Opaque
from keras_ff.negatives import Adversarial, HybridImages
from tests.helpers import ROOT
from tests.scripts import crossing

BACKEND = keras.backend.backend()

pytestmark = pytest.mark.skipif(
    BACKEND == "tensorflow", reason="Needs another KERAS_BACKEND in the environment"
)

SCHEDULES = ("simultaneous", "greedy", "alternating", "pipelined", "windows")


RUN = "runpy.run_module('tests.scripts.crossing', run_name='__main__')"


def digits(count=600):
    data = sklearn.datasets.load_digits()
    return (data.images[:count, ..., None] / 16).astype("float32"), data.target[:count]


def dense(units=100, **settings):
    return FFDense(units, **settings)


def model_of(layers=None, optimizer=None, loss="label_softmax", **settings):
    keras.utils.set_random_seed(0)
    settings = {"layer_schedule": "simultaneous", **settings}
    layers = layers() if layers else [dense() for _ in range(3)]
    if settings.pop("class_groups", False):
        settings |= {"label_embedding": None, "negatives": None}
        loss = None
    if settings["layer_schedule"] == "windows":
        windows = [(0, 3), (1, 5), (2, 8)]
        settings["layer_schedule"] = keras_ff.layer_schedules.Windows(windows)
    model = keras_ff.FFModel(layers, 10, **settings)
    model.compile(optimizer or keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
    return model


def weights(model):
    return [ops.convert_to_numpy(variable) for variable in model.variables]


def in_process(backend, code):
    """Run a script under a backend, and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_import_leaves_tensorflow_alone():
    assert "False" in in_process(
        BACKEND, "import sys, keras_ff; print('tensorflow' in sys.modules)"
    )


def test_training_needs_no_tensorflow():
    in_process(
        BACKEND,
        """
        import sys
        sys.modules["tensorflow"] = None  # an import fails
        import keras_ff, numpy as np
        x, y = np.random.rand(32, 4, 4, 1).astype("float32"), np.arange(32) % 10
        model = keras_ff.FFModel([keras_ff.layers.FFDense(8) for _ in range(2)], 10)
        model.compile("adam", metrics=["accuracy"])
        model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y))
        model.evaluate(x, y, verbose=0)
        assert model.predict(x, verbose=0).shape == (32, 10)
        """,
    )


def test_a_step_is_the_gradient_of_the_formula():
    """One SGD step of a layer beside central differences of its loss, written out."""
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(6, 5)).astype("float32")
    layer = FFDense(3, normalization=None, loss=keras_ff.losses.SymBa(2.0), optimizer="sgd")
    layer.build((None, 5))
    before = ops.convert_to_numpy(layer.kernel).astype("float64")

    def loss(kernel):
        goodness = np.mean(np.maximum(inputs.astype("float64") @ kernel, 0) ** 2, axis=1)
        return np.mean(np.log1p(np.exp(-2 * (goodness[:3] - goodness[3:]))))

    expected = np.zeros_like(before)
    for place in np.ndindex(before.shape):
        move = np.zeros_like(before)
        move[place] = 1e-5
        expected[place] = (loss(before + move) - loss(before - move)) / 2e-5
    metrics, _ = layer.train_step(inputs)
    assert float(metrics["loss"]) == pytest.approx(loss(before), rel=1e-5)
    moved = before - ops.convert_to_numpy(layer.kernel)
    np.testing.assert_allclose(moved, 0.01 * expected, atol=1e-6)
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_layer_schedule_learns(schedule):
    x, y = digits()
    model = model_of(layer_schedule=schedule)
    model.build((None, 8, 8, 1))
    before = [ops.convert_to_numpy(layer.kernel) for layer in model.ff_layers]
    history = model.fit(x, y, epochs=9, batch_size=50, verbose=0).history
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.85
    assert history["layer_3/loss"][-1] < 0.8 * np.nanmax(history["layer_3/loss"])
    for layer, old in zip(model.ff_layers, before, strict=True):
        assert np.abs(ops.convert_to_numpy(layer.kernel) - old).max() > 0.01


@pytest.mark.parametrize("schedule", ["simultaneous", "greedy", "alternating", "pipelined"])
def test_compiled_steps_are_those_of_eager_training(schedule):
    x, y = digits(100)
    ends = []
    for eagerly in (False, True):
        model = model_of(layer_schedule=schedule, optimizer=keras.optimizers.SGD(0.1))
        model.compile(keras.optimizers.SGD(0.1), "label_softmax", run_eagerly=eagerly)
        model.fit(x, y, epochs=3, batch_size=50, verbose=0, shuffle=False)
        ends.append(weights(model))
    for one, other in zip(*ends, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_greedy_moves_one_layer_at_a_time():
    x, y = digits(100)
    model = model_of(layer_schedule="greedy")
    model.build((None, 8, 8, 1))
    seen = [[ops.convert_to_numpy(layer.kernel) for layer in model.ff_layers]]
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            [ops.convert_to_numpy(layer.kernel) for layer in model.ff_layers]
        )
    )
    model.fit(x, y, epochs=3, batch_size=50, verbose=0, callbacks=[note])
    moved = [
        [bool(np.abs(new - old).max() > 0) for new, old in zip(after, before, strict=True)]
        for before, after in itertools.pairwise(seen)
    ]
    assert moved == [[k == epoch for k in range(3)] for epoch in range(3)]


KINDS = {
    "class groups": lambda: model_of(
        lambda: [dense(goodness="class_groups", normalization="class_groups") for _ in range(3)],
        class_groups=True,
    ),
    "batch normalisation and dropout": lambda: model_of(
        lambda: [dense(normalization="batch", dropout=0.1) for _ in range(3)]
    ),
    "learned thresholds": lambda: model_of(loss=keras_ff.losses.Logistic("learned")),
    "label map, convolutions": lambda: model_of(
        lambda: [FFConv2D(8), dense(), dense()], label_embedding="label_map"
    ),
    "attention": lambda: model_of(
        lambda: [FFAttention(2, 16, units=50, patch_size=4), dense()],
        label_embedding="token_labels",
    ),
    "softmax readout": lambda: model_of(readout="softmax"),
    "adversarial negatives": lambda: model_of(negatives=Adversarial()),
    "a function between": lambda: model_of(
        lambda: [dense(), Opaque(lambda array: np.round(array, 2), name="rounded"), dense()]
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_models_learn(name):
    x, y = digits(300)
    model = KINDS[name]()
    history = model.fit(x, y, epochs=4, batch_size=50, verbose=0).history
    of_layers = [key for key in history if key.endswith("/loss")]
    assert len(of_layers) == len(model.ff_layers)
    for key in of_layers:
        finite = [value for value in history[key] if np.isfinite(value)]
        assert finite and finite[-1] < finite[0]


def test_state_moves_on():
    """Thresholds, moving statistics and random generators, which a compiled step could freeze."""
    x, y = digits(100)
    model = model_of(
        lambda: [dense(normalization="batch", dropout=0.5)],
        loss=keras_ff.losses.Logistic("learned"),
    )
    model.build((None, 8, 8, 1))
    before = weights(model)
    model.fit(x, y, epochs=1, batch_size=50, verbose=0)
    still = [
        variable.path
        for variable, old in zip(model.variables, before, strict=True)
        if np.array_equal(ops.convert_to_numpy(variable), old)
    ]
    assert still == []


def test_unsupervised_then_a_readout():
    x, y = digits(300)
    model = model_of(
        label_embedding=None, negatives=HybridImages(), readout="softmax", loss="symba"
    )
    model.fit(x, epochs=2, batch_size=50, verbose=0)
    before = ops.convert_to_numpy(model.ff_layers[0].kernel)
    history = model.fit_readout(x, y, epochs=5, batch_size=50, verbose=0).history
    np.testing.assert_array_equal(ops.convert_to_numpy(model.ff_layers[0].kernel), before)
    assert history["accuracy"][-1] > 0.8


def test_a_saved_training_goes_on(tmp_path):
    x, y = digits(100)
    whole, halves = (model_of(layer_schedule="greedy") for _ in range(2))
    settings = {"batch_size": 50, "verbose": 0, "shuffle": False}
    whole.fit(x, y, epochs=6, **settings)
    halves.fit(x, y, epochs=6, callbacks=[StopAfter(4)], **settings)
    halves.save(tmp_path / "half.keras")
    resumed = keras.models.load_model(tmp_path / "half.keras")
    resumed.fit(x, y, epochs=6, initial_epoch=4, **settings)
    for one, other in zip(weights(whole), weights(resumed), strict=True):
        np.testing.assert_array_equal(one, other)


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 == self.epochs


@pytest.mark.parametrize("other", {"jax": ["tensorflow"]}.get(BACKEND, ["tensorflow", "jax"]))
def test_models_cross_to_another_backend_and_back(other, tmp_path):
    """They score and learn there as here, with nothing drawn at random."""
    for name in crossing.NAMES:
        model = crossing.new(name)
        crossing.go_on(model)
        model.save(tmp_path / f"{name}.keras")
    in_process(other, f"import runpy, sys; sys.argv = ['', {str(tmp_path)!r}]; {RUN}")
    for name in crossing.NAMES:
        model = keras.models.load_model(tmp_path / f"{name}.keras")
        theirs = np.load(tmp_path / f"{name}.npz")
        before = crossing.scores(model)
        np.testing.assert_allclose(before, theirs["before"], atol=1e-4)
        crossing.go_on(model)
        learned = crossing.scores(model)
        np.testing.assert_allclose(learned, theirs["after"], atol=2e-3)
        assert np.abs(learned - before).max() > 0.05
        come_back = keras.models.load_model(tmp_path / f"{name}_after.keras")
        np.testing.assert_allclose(crossing.scores(come_back), theirs["after"], atol=1e-4)
        for one, other_one in zip(model.weights, come_back.weights, strict=True):
            np.testing.assert_allclose(one.numpy(), other_one.numpy(), atol=2e-3)


def test_an_unknown_backend_is_refused():
    code = """
    import os
    try:
        import keras_ff
    except ImportError as error:
        print(error)
    """
    assert "'tensorflow', 'jax' or 'torch'" in in_process("numpy", code)
