"""Average pooling of activities to a few regions per side."""

import math

import numpy as np
from keras import ops


def pooled(activities, regions):
    """Activities after average pooling; those without positions stay as they are.

    A side is divided into `regions` regions at most: a side of 7 into 4 of 2, 2, 2 and 1, or into
    7. From (batch, ..., channels) to (batch, regions · channels).
    """
    window = tuple(_window(side, regions) for side in activities.shape[1:-1])
    if not window:
        return activities
    # Zeros make the sides even and do not count, which they would as Keras's own padding does
    # under PyTorch.
    sides = activities.shape[1:-1]
    missing = [(0, -side % size) for side, size in zip(sides, window, strict=True)]
    padded = ops.pad(activities, [(0, 0), *missing, (0, 0)])
    of_regions = ops.average_pool(padded, window, window, data_format="channels_last")
    for axis, (side, size) in enumerate(zip(sides, window, strict=True), start=1):
        if side % size:
            inside = np.minimum(size, side - np.arange(0, side, size))
            shape = [-1 if one == axis else 1 for one in range(len(of_regions.shape))]
            of_regions = of_regions * ops.cast((size / inside).reshape(shape), of_regions.dtype)
    return ops.reshape(of_regions, (-1, math.prod(of_regions.shape[1:])))


def number_of_features(activities_shape, regions):
    """Number of features per sample after pooling; the batch axis is ignored."""
    *sides, channels = activities_shape[1:]
    return math.prod(math.ceil(side / _window(side, regions)) for side in sides) * channels


def _window(side, regions):
    """Positions of a region along a side."""
    return math.ceil(side / regions)
