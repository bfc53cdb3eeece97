"""Local receptive fields, written out in numpy."""

import numpy as np
from keras.ops import convert_to_numpy


def by_hand(x, layer):
    """Position by position, in float64."""
    kernel = convert_to_numpy(layer.kernel).astype("float64")
    bias = convert_to_numpy(layer.bias).reshape(*kernel.shape[:2], -1)
    rows, columns = kernel.shape[:2]
    (height, width), (down, across) = layer.kernel_size, layer.strides
    padded = np.asarray(x, "float64")
    if layer.padding == "same":
        vertical = max((rows - 1) * down + height - x.shape[1], 0)
        horizontal = max((columns - 1) * across + width - x.shape[2], 0)
        around = [(size // 2, size - size // 2) for size in (vertical, horizontal)]
        padded = np.pad(padded, [(0, 0), *around, (0, 0)])
    y = np.zeros((len(x), rows, columns, kernel.shape[3]))
    for i in range(rows):
        for j in range(columns):
            patch = padded[:, i * down :, j * across :][:, :height, :width]
            y[:, i, j] = patch.reshape(len(x), -1) @ kernel[i, j] + bias[i, j]
    return y
