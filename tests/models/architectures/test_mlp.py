"""The multilayer perceptron of class groups."""

import numpy as np
from keras.ops import convert_to_numpy

from keras_ff import models
from tests.helpers.architectures import CLASSES, built


def test_class_groups_of_an_mlp_score_by_ten_times_their_mean_activity():
    model = built(models.mlp((8, 12), CLASSES, activation="tanh", class_groups=True), 5)
    x = np.random.default_rng(1).normal(size=(6, 5)).astype("float32")
    inputs, scores = x.astype("float64"), 0.0
    for layer in model.ff_layers:
        inputs = inputs - inputs.mean(axis=1, keepdims=True)
        inputs /= np.sqrt((inputs**2).mean(axis=1, keepdims=True) + 1e-8)
        inputs = np.tanh(inputs @ convert_to_numpy(layer.kernel).astype("float64"))
        scores = scores + 10 * inputs.reshape(6, CLASSES, -1).mean(axis=2)
    np.testing.assert_allclose(model.predict(x, verbose=0), scores, rtol=1e-5, atol=1e-5)
