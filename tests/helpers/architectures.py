"""Images for architectures, and the size of a network."""

import numpy as np

from keras_ff import layers

CLASSES = 4


def images(count=12, size=8, channels=3, seed=0):
    x = np.random.default_rng(seed).random((count, size, size, channels), "float32")
    return x, np.arange(count) % CLASSES


def built(model, *sample_shape):
    model.build((None, *sample_shape))
    return model


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def multiplications(model, size):
    """Of the convolutions, for one image of `size` pixels a side."""
    total = 0
    for layer in model.ff_layers:
        if isinstance(layer, layers.FFConv2D):
            total += int(np.prod(layer.kernel.shape)) * size**2
            size //= 1 if layer.pooling is None else 2
    return total
