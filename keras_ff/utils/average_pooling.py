"""Average pooling of activities to a few regions per side."""

import math

from keras import ops


def pooled(activities, regions):
    """Activities after average pooling; those without positions stay as they are.

    A side is divided into `regions` regions at most: a side of 7 into 4 of 2, 2, 2 and 1, or into
    7. From (batch, ..., channels) to (batch, regions · channels).
    """
    window = tuple(_window(side, regions) for side in activities.shape[1:-1])
    if not window:
        return activities
    # Padding does not count in the averages.
    of_regions = ops.average_pool(
        activities, window, window, padding="same", data_format="channels_last"
    )
    return ops.reshape(of_regions, (-1, math.prod(of_regions.shape[1:])))


def number_of_features(activities_shape, regions):
    """Number of features per sample after pooling; the batch axis is ignored."""
    *sides, channels = activities_shape[1:]
    return math.prod(math.ceil(side / _window(side, regions)) for side in sides) * channels


def _window(side, regions):
    """Positions of a region along a side."""
    return math.ceil(side / regions)
