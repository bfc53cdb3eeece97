"""Weights of the first layer as images."""

import math

import keras
import numpy as np
from keras import ops

from keras_ff.utils import checks
from keras_ff.visualization import style
from keras_ff.visualization.images import tiled

COLUMNS = 16


def filters(model, number=64):
    """Weights of the first layer's units, each as an image of the samples' shape.

    Args:
        model: a built `FFModel` whose first layer is a dense one or a convolution.
        number: integer, how many units are shown at most, the first ones. Defaults to `64`.

    Returns:
        A `matplotlib.figure.Figure`: mid-grey stands for a weight of zero, the lightest and the
        darkest tone for the largest absolute weight of the unit. Weights of labels that stand
        beside the sample are left out; a convolution's filters are averaged over the channels
        that they take, where these are neither one nor three.

    Raises:
        ValueError: if the model is not built, its first layer has no weights that could be seen
            as images, or `number` is below 1.

    Example:

    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> model.build((None, 8, 8, 1))
    >>> figure = filters(model, number=16)
    >>> figure.axes[0].get_title()
    'Filters of layer 1: 16 of 32 units'
    """
    images = filter_images(model)
    shown = images[: checks.whole_number(number, "number")]
    scale = np.maximum(np.abs(shown).max(axis=(1, 2, 3), keepdims=True), 1e-12)
    sheet = tiled(0.5 + 0.5 * shown / scale, min(COLUMNS, len(shown)), gap=1.0)
    height, width = sheet.shape[:2]
    inches = 8.0
    figure = style.new_figure(inches, 0.6 + inches * height / width)
    axes = figure.subplots()
    axes.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_title(f"Filters of layer 1: {len(shown)} of {len(images)} units")
    axes.set_xlabel("each unit's weights from minus their largest size (black) to plus (white)")
    axes.set_xticks([])
    axes.set_yticks([])
    return figure


def filter_images(model):
    """Weights of the first layer's units, float32 (units, height, width, channels).

    Example:

    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> model.build((None, 8, 8, 1))
    >>> filter_images(model).shape
    (32, 8, 8, 1)
    """
    if not model.built:
        raise ValueError(
            f"The model must be built: call `build` or `fit` first. Received: {model!r}"
        )
    transform = model.ff_layers[0].transform
    shape = tuple(model.sample_shape)
    if isinstance(transform, keras.layers.Conv2D):
        kernel = _array(transform.kernel).transpose(3, 0, 1, 2)
        return kernel if kernel.shape[-1] in (1, 3) else kernel.mean(axis=-1, keepdims=True)
    if isinstance(transform, keras.layers.Dense) and 2 <= len(shape) <= 3:
        shape = shape if len(shape) == 3 else (*shape, 1)
        kernel = _array(transform.kernel).T
        beside = kernel.shape[1] - math.prod(shape)
        # A label beside the sample comes after its pixels, a map of labels is a further channel.
        if beside in (0, model.num_classes) and shape[-1] in (1, 3):
            return kernel[:, : math.prod(shape)].reshape(-1, *shape)
        if beside == math.prod(shape[:2]) and shape[-1] in (1, 3):
            wider = kernel.reshape(-1, *shape[:2], shape[2] + 1)
            return wider[..., : shape[2]]
    raise ValueError(
        "Filters can be seen where the first layer is a Dense or Conv2D layer on images of one or "
        f"three channels. Received: {type(transform).__name__} on samples of shape {shape}"
    )


def _array(weight):
    return ops.convert_to_numpy(weight).astype("float32")
