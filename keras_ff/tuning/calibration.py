"""Thresholds that stand where an untrained network's goodness lies."""

import statistics

import keras
import numpy as np

from keras_ff import activations, goodness

# Goodness of rectified activations, in units, where what comes into them is standard normal.
OF_RECTIFIED = 0.5
QUANTILES = 1000


def reach(activation, measure):
    """How large goodness is, beside that of rectified activations under squares.

    Both are taken where what comes into the activation has the standard normal distribution, as
    about in an untrained layer behind a length normalisation.

    Args:
        activation: a name or function, as for `keras_ff.activations.get`.
        measure: a name or part, as for `keras_ff.goodness.get`, that is not per class.

    Returns:
        A float.

    Example:

    >>> print(round(reach("relu", "mean_of_squares"), 2), reach("tanh", "mean_of_squares") < 1)
    1.0 True
    """
    shares = (np.arange(QUANTILES) + 0.5) / QUANTILES
    taken = np.array([[statistics.NormalDist().inv_cdf(share) for share in shares]], "float32")
    answered = activations.get(activation)(keras.ops.convert_to_tensor(taken))
    measure = goodness.get(measure)
    found = float(keras.ops.convert_to_numpy(measure(answered))[0])
    return found / measure.unit((None, QUANTILES)) / OF_RECTIFIED


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
    embedded, streams = model.streams(keras.ops.convert_to_tensor(x), labels, seed=seed)
    thresholds = []
    for of_layer in model.goodness_of(model.activities(embedded)):
        of_layer = keras.ops.convert_to_numpy(of_layer).reshape(streams, -1)
        thresholds.append(float((np.mean(of_layer[0]) + np.mean(of_layer[1:])) / 2))
    return thresholds
