"""The private names of Keras that the package uses: all of them are listed, and all are there."""

import ast
import pathlib
import tempfile

import keras
import keras_tuner
import pytest

import keras_ff
from keras_ff.utils.keras_internals import PRIVATE

PACKAGE = pathlib.Path(keras_ff.__file__).parent
TREES = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
BACKENDS = {"TensorFlow": "tensorflow", "JAX": "jax", "PyTorch": "torch"}


def compiled():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def multi_optimizer():
    model = keras_ff.FFModel([keras_ff.layers.FFDense(2)], num_classes=2)
    model.compile("adam")
    return model.optimizer


def epoch_iterator():
    import numpy as np
    import tensorflow as tf
    from keras.src.backend.tensorflow.trainer import TFEpochIterator

    strategy = tf.distribute.get_strategy()
    return TFEpochIterator(strategy, x=np.ones((4, 2)))


def averaged():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    optimizer = keras.optimizers.Adam(use_ema=True)
    optimizer.build(model.trainable_variables)
    return optimizer


def board():
    callback = keras.callbacks.TensorBoard(tempfile.mkdtemp())
    callback.set_model(compiled())
    return callback


OWNERS = {
    "Layer": lambda: keras.layers.Dense(1),
    "Model": compiled,
    "TensorFlow model": compiled,
    "JAX model": compiled,
    "PyTorch layer": lambda: keras.layers.Dense(1),
    "PyTorch optimizer": keras.optimizers.Adam,
    "Optimizer": averaged,
    "Muon": keras.optimizers.Muon,
    "MultiOptimizer": multi_optimizer,
    "LossScaleOptimizer": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()),
    "Tuner": lambda: keras_tuner.Tuner,
    "Variable": lambda: keras.Variable(0.0),
    "TensorBoard callback": board,
    "Epoch iterator": epoch_iterator,
}
# There once a step has been taken.
LATER = ("_jax_state",)


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in PRIVATE.items() for name in names]
)
def test_keras_still_has_it(owner, name):
    backend = BACKENDS.get(owner.split()[0], keras.backend.backend())
    if owner in ("TensorBoard callback", "Epoch iterator"):
        backend = "tensorflow"
    if backend != keras.backend.backend() or name in LATER:
        pytest.skip(f"Not there under {keras.backend.backend()}, or not yet")
    assert hasattr(OWNERS[owner](), name), (
        f"This Keras has no {owner}.{name}: {PRIVATE[owner][name]}"
    )


def test_every_private_name_that_is_used_is_listed():
    listed = {name for names in PRIVATE.values() for name in names}
    nodes = [node for tree in TREES for node in ast.walk(tree)]
    own = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    own |= {node.attr for node in attributes if isinstance(node.ctx, ast.Store)}
    used = {node.attr for node in attributes if node.attr.startswith("_")}
    foreign = {name for name in used - own - listed if not name.startswith("__")}
    assert foreign == set()
