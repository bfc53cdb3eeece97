"""Builds, trains, saves and loads a model, and says what fails for want of a package."""

import json

import keras
import numpy as np

import keras_ff


def said(use):
    """What an error says."""
    try:
        use()
    except ValueError as error:
        return str(error)


keras.utils.set_random_seed(0)
y = np.arange(240) % 3
x = np.eye(3, 12)[y] + 0.1 * np.random.default_rng(0).normal(size=(240, 12))
layers = [keras_ff.layers.FFDense(32, activation="relu") for _ in range(2)]
model = keras_ff.FFModel(layers, num_classes=3)
model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
model.fit(x, y, batch_size=40, epochs=6, validation_split=0.25, verbose=0)
model.save("model.keras")
loaded = keras.saving.load_model("model.keras")
preset = keras_ff.FFModel.from_preset("digits_mlp_relu")
found = {
    "keras_ff": keras_ff.__file__,
    "accuracy": model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"],
    "loaded": loaded.evaluate(x, y, verbose=0, return_dict=True)["accuracy"],
    "preset": preset.predict(np.zeros((2, 8, 8, 1)), verbose=0).shape,
    "said": {
        "datasets": said(lambda: keras_ff.datasets.load("digits")),
        "plot": said(lambda: keras_ff.visualization.confusion_matrix([[1]])),
        "tensorboard": said(lambda: keras_ff.callbacks.FFTensorBoard("logs")),
        "tune": said(lambda: __import__("keras_ff.tuning")),
    },
}
print(json.dumps(found))
