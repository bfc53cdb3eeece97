"""Layers on two devices beside layers on one, for test_distribution.py: prints what it finds.

python placed_layers.py FILE: the file is one to save a model in.
"""

import sys
import threading

import tensorflow as tf

HALVES = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], HALVES)

import keras  # noqa: E402  (what comes before decides what it finds)
import numpy as np  # noqa: E402

import keras_ff  # noqa: E402
from keras_ff.layer_schedules import Pipelined  # noqa: E402
from keras_ff.layer_schedules.pipeline import Pipeline  # noqa: E402
from keras_ff.layers import FFDense  # noqa: E402

FILE = sys.argv[1]

worked = []
work_on_device = Pipeline._work_on_device


def recorded(self, run):
    if run:
        worked.append((threading.get_ident(), self.model.layer_devices[run[0]]))
    return work_on_device(self, run)


Pipeline._work_on_device = recorded
x, y = np.random.default_rng(0).random((96, 12), "float32"), np.arange(96) % 10
places = {"shuffle": False, "batch_size": 16, "verbose": 0, "validation_data": (x, y)}


def trained(devices, units, **settings):
    keras.utils.set_random_seed(0)
    normalizations = ("length", "batch", "length", "batch")
    layers = [FFDense(units, dropout=0.1, normalization=one) for one in normalizations]
    model = keras_ff.FFModel(layers, 10, layer_schedule=Pipelined(devices), **settings)
    model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    return model, model.fit(x, y, epochs=1, **places).history


def difference(one, other):
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs)


def devices_of(model):
    variables = [layer.transform.kernel for layer in model.ff_layers]
    variables += [layer.optimizer.variables[2] for layer in model.ff_layers]
    return "".join(variable.value.device[-1] for variable in variables)


for units, settings in (
    (16, {}),
    # In fused kernels.
    (512, {"label_embedding": "overlay", "negatives": "hard_labels", "readout": "softmax"}),
):
    one, metrics = trained(None, units, **settings)
    worked.clear()
    two, ours = trained(["cpu:0", "cpu:1"], units, **settings)
    same = all(np.array_equal(metrics[name], ours[name], True) for name in metrics)
    print("weights", difference(one, two), "metrics", same, "places", devices_of(two))
    two.save(FILE)
    loaded = keras.saving.load_model(FILE)
    two.fit(x, y, epochs=1, **places)
    loaded.fit(x, y, epochs=1, **places)
    print("went on", difference(two, loaded), "places", devices_of(loaded))
    side_by_side = [one for one in worked if one[0] != threading.get_ident()]
    threads, devices = map(set, zip(*side_by_side, strict=True))
    print("threads", len(threads) >= 2, "devices", sorted(devices))
