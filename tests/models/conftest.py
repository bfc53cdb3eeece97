"""Small data and models for the tests of FFModel as a Keras model."""

import keras
import numpy as np
import pytest

import keras_ff

FEATURES = 6
BATCH = 20


@pytest.fixture(scope="session")
def two_classes():
    """30 samples of two separable classes, in batches of 20 and 10.

    With two classes the wrong label is the other one, so that nothing in a step is random.
    """
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 30).astype("int32")
    x = rng.normal(size=(30, FEATURES)) + np.where(y[:, None] == 0, 2.0, -2.0) * [1, 1, -1, 0, 0, 0]
    return x.astype("float32"), y


@pytest.fixture(scope="session")
def three_classes():
    """30 samples of three classes."""
    rng = np.random.default_rng(4)
    y = np.arange(30, dtype="int32") % 3
    x = rng.normal(size=(30, FEATURES)) + 2.0 * np.eye(FEATURES)[y]
    return x.astype("float32"), y


@pytest.fixture(scope="session")
def digits():
    """scikit-learn's digits: 1,000 to train on and 400 to test on."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = (data.images[..., None] / 16.0).astype("float32")
    order = np.random.default_rng(5).permutation(len(x))
    train, test = order[:1000], order[1000:1400]
    return (x[train], data.target[train]), (x[test], data.target[test])


@pytest.fixture(scope="session")
def new_model():
    """A function that makes a small model, compiled and built, with the same weights each time.

    Named arguments go to `compile`, those of `model` to `FFModel`, those of `layer` to all layers.
    It runs eagerly, which is quicker for a few steps than to compile them; tests that are about
    the compiled step, or whose subject could differ in it, say `run_eagerly=False`.
    """

    def make(
        num_classes=2, units=(16, 16), model=None, layer=None, kind=None, built=True, **compiled
    ):
        keras.utils.set_random_seed(11)
        kind = kind or keras_ff.FFModel
        made = kind(
            [keras_ff.layers.FFDense(width, **(layer or {})) for width in units],
            num_classes=num_classes,
            **{"layer_schedule": "simultaneous", **(model or {})},
        )
        defaults = {"optimizer": keras.optimizers.SGD(0.1), "loss": "symba", "run_eagerly": True}
        made.compile(**{**defaults, **compiled})
        if built:
            made.build((None, FEATURES))
        return made

    return make


@pytest.fixture(scope="session")
def values():
    """A function that reads variables: those of a model with its generators, or a list."""

    def read(variables):
        if isinstance(variables, keras.Model):
            variables = variables.variables
        return [np.copy(keras.ops.convert_to_numpy(variable)) for variable in variables]

    return read


@pytest.fixture(scope="session")
def same():
    """A function that asserts two lists of arrays to be equal, bit by bit, or within `atol`."""

    def compare(first, second, atol=0.0):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            np.testing.assert_allclose(one, other, rtol=0.0, atol=atol)

    return compare


@pytest.fixture(scope="session")
def fit():
    """A function that fits without noise: in the order of the data, in batches of 20."""

    def run(model, *data, **arguments):
        return model.fit(
            *data, **{"batch_size": BATCH, "shuffle": False, "verbose": 0, **arguments}
        )

    return run


@pytest.fixture(scope="session")
def losses_by_hand():
    """A function that works out, in float64, each sample's SymBa loss in every layer.

    Samples are given with their true and their wrong labels. Returns an array (layers, samples).
    """

    def goodness(model, x, labels):
        x = x.astype("float64").reshape(len(x), -1)
        length = np.sqrt(0.1 * np.sum(x**2, axis=1, keepdims=True))
        activities = np.concatenate([x, length * np.eye(model.num_classes)[labels]], axis=1)
        values = []
        for layer in model.ff_layers:
            scale = np.sqrt(np.mean(activities**2, axis=1, keepdims=True) + 1e-8)
            kernel, bias = (
                keras.ops.convert_to_numpy(weight).astype("float64")
                for weight in layer.transform.weights
            )
            activities = np.maximum(activities / scale @ kernel + bias, 0.0)
            values.append(np.mean(activities**2, axis=1))
        return np.array(values)

    def losses(model, x, true, wrong):
        difference = 16.0 * (goodness(model, x, wrong) - goodness(model, x, true))
        return np.logaddexp(0.0, difference)

    return losses


class Batches(keras.utils.PyDataset):
    """Arrays as a PyDataset."""

    def __init__(self, *arrays, batch_size=BATCH, **kwargs):
        super().__init__(**kwargs)
        self.arrays = arrays
        self.batch_size = batch_size

    def __len__(self):
        return -(-len(self.arrays[0]) // self.batch_size)

    def __getitem__(self, index):
        chosen = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return tuple(array[chosen] for array in self.arrays)


@pytest.fixture(scope="session")
def py_dataset():
    """The class of a PyDataset over arrays, in batches of 20."""
    return Batches


@pytest.fixture(scope="session")
def tf_dataset():
    """A function that makes a tf.data pipeline over arrays, in batches of 20."""

    def make(*arrays, batch_size=BATCH):
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size)

    return make


@pytest.fixture(scope="session")
def generator():
    """A function that makes an endless generator of batches of 20 over arrays."""

    def make(*arrays, endless=True, batch_size=BATCH):
        while True:
            yield from Batches(*arrays, batch_size=batch_size)
            if not endless:
                return

    return make
