"""Readouts by name, and through their configurations."""

import json

import keras
import numpy as np
import pytest

from keras_ff import readouts
from tests.helpers.readouts import model_with, samples


@pytest.mark.parametrize("name", readouts.KNOWN)
def test_get(name):
    readout = readouts.get(name)
    assert type(readout) is readouts.KNOWN[name]
    assert readouts.get(readout) is readout


READOUTS = {
    # `Joint` has a file of its own.
    "goodness": readouts.Goodness,
    "softmax": readouts.Softmax,
    "goodness of some": lambda: readouts.Goodness(layers=[0, -1]),
    "softmax of all": lambda: readouts.Softmax(layers="all", name="head_of_all"),
    "softmax, standardized": lambda: readouts.Softmax(regions=2, standardized=True),
    "softmax of some": lambda: readouts.Softmax(
        layers=[0, 1],
        optimizer=keras.optimizers.Adam(0.03),
        kernel_regularizer=keras.regularizers.L2(0.2),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", READOUTS)
def test_round_trip(name):
    readout = READOUTS[name]()
    serialised = keras.saving.serialize_keras_object(readout)
    x, y = samples()
    model = model_with(readout)
    model.train_on_batch(x, y)
    for copy in (
        type(readout).from_config(readout.get_config()),
        keras.saving.deserialize_keras_object(json.loads(json.dumps(serialised))),
        readouts.get(serialised),
    ):
        assert type(copy) is type(readout)
        assert copy.layers == readout.layers
        assert json.dumps(copy.get_config()) == json.dumps(readout.get_config())
        other = model_with(copy)
        other.set_weights(model.get_weights())
        np.testing.assert_array_equal(other(x), model(x))
        if isinstance(copy, readouts.Softmax):
            assert type(copy.optimizer) is type(readout.optimizer)
            assert copy.optimizer.get_config() == readout.optimizer.get_config()
        if name == "softmax of some":
            assert float(copy.kernel_regularizer.l2) == pytest.approx(0.2)
            assert float(copy.optimizer.learning_rate) == pytest.approx(0.03)
