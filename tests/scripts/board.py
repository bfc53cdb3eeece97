"""Trains with FFTensorBoard on two devices; run by test_ff_tensorboard.py.

python board.py FOLDER: prints, as JSON, what is measured of the model there and, with its weights,
on one device.
"""

import json
import sys

import tensorflow as tf

processor = tf.config.list_physical_devices("CPU")[0]
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(processor, halves)

import keras  # noqa: E402  (the devices come first)
import numpy as np  # noqa: E402

import keras_ff  # noqa: E402
from keras_ff import measurements, readouts  # noqa: E402


def new_model():
    layers = [keras_ff.layers.FFDense(12) for _ in range(2)]
    model = keras_ff.FFModel(layers, 3, readout=readouts.Goodness("validation"))
    loss = keras_ff.losses.Logistic(threshold="learned")
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


y = np.arange(60) % 3
x = np.random.default_rng(0).normal(size=(60, 8)).astype("float32") + 2 * np.eye(3, 8)[y]
unknown = tf.data.Dataset.from_tensor_slices((x.astype("float32"), y)).batch(20)
unknown = unknown.filter(lambda *batch: True)

with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = new_model()
board = keras_ff.callbacks.FFTensorBoard(
    sys.argv[1], distribution_freq=1, picture_freq=0, hparams={"units": 12}
)
model.fit(unknown, epochs=4, validation_data=unknown, callbacks=[board], verbose=0)

other = new_model()
other.build((None, 8))
other.set_weights(model.get_weights())
found = []
for one in (model, other):
    measured = measurements.measure(one, x, y)
    layers = [
        [layer.threshold, layer.separation, layer.pair_accuracy, layer.saturated_share]
        for layer in measured.layers
    ]
    found.append([layers, measured.accuracy_alone(), measured.accuracy_of_first()])
print(json.dumps(found))
