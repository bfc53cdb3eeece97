"""Patches: an image cut into squares that do not overlap."""

import math

from keras import ops


def patch_grid(height, width, patch_size):
    """Rows and columns of patches, or a ValueError that names the sizes that would fit.

    Example:

    >>> patch_grid(28, 14, 7)
    (4, 2)
    """
    if patch_size is None or height % patch_size or width % patch_size:
        common = math.gcd(height, width)
        fitting = [str(size) for size in range(1, common + 1) if common % size == 0]
        raise ValueError(
            f"Images of {height} by {width} pixels must be cut into patches that fill them; sizes "
            f"that do: {', '.join(fitting)}. Received: patch_size={patch_size}"
        )
    return height // patch_size, width // patch_size


def cut(images, patch_size):
    """Patches in reading order, of shape (batch, patches, patch_size² · channels).

    A patch's features are its pixels in reading order, and of each pixel its channels.

    Example:

    >>> import numpy as np
    >>> print(np.array(cut(np.arange(8).reshape(1, 2, 4, 1), 2)))
    [[[0 1 4 5]
      [2 3 6 7]]]
    """
    height, width, channels = images.shape[1:]
    rows, columns = patch_grid(height, width, patch_size)
    grid = ops.reshape(images, (-1, rows, patch_size, columns, patch_size, channels))
    grid = ops.transpose(grid, (0, 1, 3, 2, 4, 5))
    return ops.reshape(grid, (-1, rows * columns, patch_size**2 * channels))
