"""Thresholds that stand where an untrained network's goodness lies."""

import keras
import numpy as np


def calibrated_thresholds(model, x, y, seed=0):
    """For each layer the threshold half way between positive and negative goodness.

    Where activations are bounded, or goodness is scaled, it may lie far from the usual one; a
    threshold that no goodness comes near gives a layer nothing to learn.

    Args:
        model: a built `FFModel` with negatives, most usefully untrained.
        x: array of shape (batch, ...): a batch of samples.
        y: integer array of shape (batch,): their labels.
        seed: integer, of the negatives. Defaults to `0`.

    Returns:
        A list of floats, the mean of the mean goodness of positives and that of negatives.

    Raises:
        ValueError: if the model has class groups, whose losses have no threshold.

    Example:

    >>> import numpy as np
    >>> import keras_ff
    >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> model.build(x.shape)
    >>> thresholds = calibrated_thresholds(model, x, y)
    >>> model.compile(loss=keras_ff.losses.Logistic(threshold=thresholds))
    """
    if model.class_groups:
        raise ValueError("Class groups have no threshold to calibrate. Received: class groups")
    labels = keras.ops.cast(keras.ops.convert_to_tensor(y), "int32")
    batch = model.streams(keras.ops.convert_to_tensor(x), labels, seed=seed)
    thresholds = []
    for goodness in model.stack.goodness(model.stack.activities(batch)):
        goodness = keras.ops.convert_to_numpy(goodness).reshape(batch.streams, -1)
        thresholds.append(float((np.mean(goodness[0]) + np.mean(goodness[1:])) / 2))
    return thresholds
