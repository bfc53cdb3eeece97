"""A residual network of class groups."""

import keras

from keras_ff import readouts
from keras_ff.layers import FFConv2D, FFResidual
from keras_ff.models.architectures.ready import layer_arguments, model_of

LAYERS = 17
# Layers, counted from 0, in front of which the image is halved, ...
HALVED = (5, 9)
# ... to which the activities of two layers before are added, ...
ADDED = (2, 6, 10, 14, 16)
# ... or beside which they are put, class by class, so that the next layers are twice as wide.
CONCATENATED = (4, 8, 12)


def resnet(width=20, num_classes=10, activation="relu", dropout=0.2, **kwargs):
    """The ResNet-17 of DeeperForward (Sun et al. 2025), of any width.

    Seventeen convolutions of 3 × 3 with class groups: layers 0 to 4 at the image's size, 5 to 8
    at half and 9 to 16 at a quarter of it, by average pooling. What stood two layers before is
    added to the activities of layers 2, 6, 10, 14 and 16, and put beside those of layers 4, 8 and
    12 class by class, which doubles the width: `width` up to layer 4, then 2, 4 and 8 times
    `width`. Goodness is that of a layer's own activities; no gradient passes a skip
    connection. Every class's group is normalised by itself. For images of three channels, width 20
    makes 1.2 million parameters, 100 makes 30.6 million.

    Args:
        width: integer, channels of the first layers, a multiple of `num_classes`. Defaults to `20`.
        num_classes: integer. Defaults to `10`.
        activation: name or callable. Defaults to `"relu"`.
        dropout: float in [0, 1), share of the activities dropped in training. Defaults to `0.2`.
        **kwargs: as for `keras_ff.FFModel`: `layer_schedule` (here `"simultaneous"` by default),
            `readout` (here `Goodness("validation")` by default, which chooses the layers that
            score on the validation data that `fit` must then be given), `name`, ...

    Returns:
        A `keras_ff.FFModel`, not compiled, for images of shape (height, width, channels).

    Raises:
        ValueError: as for `FFConv2D` and `FFModel`; when built, where the classes do not divide
            the channels, or the images have less than 4 pixels per side.

    Example:

    >>> from keras_ff import models
    >>> model = models.resnet(width=20)
    >>> model.build((None, 32, 32, 3))
    >>> model.count_params() // 100_000
    12
    """
    layers = resnet_layers(width, activation=activation, dropout=dropout, **layer_arguments(True))
    kwargs = {"readout": readouts.Goodness("validation"), **kwargs}
    return model_of(layers, num_classes, True, None, kwargs)


def resnet_layers(width, **arguments):
    """The layers of `resnet`; `arguments` are those of `FFLayer`."""
    layers = []
    for index in range(LAYERS):
        if index in HALVED:
            layers.append(keras.layers.AveragePooling2D(2))
        if index in ADDED or index in CONCATENATED:
            convolution = keras.layers.Conv2D(
                width, 3, padding="same", kernel_initializer="he_normal", name="convolution"
            )
            merge = "add" if index in ADDED else "class_groups"
            layers.append(FFResidual(convolution, merge=merge, span=2, **arguments))
        else:
            layers.append(FFConv2D(width, kernel_initializer="he_normal", **arguments))
        if index in CONCATENATED:
            width = 2 * width
    return layers
