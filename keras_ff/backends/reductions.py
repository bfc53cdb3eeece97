"""Sums of samples and of groups of channels in kernels, and values of groups for their channels.

The channels of a position lie side by side, and a class's group may have as few as two. A loop over
so few keeps a processor's vector units idle, and the compiler goes through memory in that way. Here
a sample is taken as rows of many lanes, several positions side by side. Sums go down the rows, lane
by lane, in one go; a product with a matrix that knows the lanes of every group does the rest, and
another brings values back to the lanes, which the compiler computes once and not for each
activity. Normalising the groups of ResNet-17, width 20, takes 0.4 to 0.8 of the time (but 1.2 where
a tensor has 80 MB and more). What is infinite in one group leaves no number in the sample's others.

Of whole samples, too, the compiler first writes to memory in float32 what is to be summed, unless
sums go down rows: a step of four contrastive convolutions in bfloat16 then takes 0.95 of the time.
"""

import math

import numpy as np
from keras import ops

from keras_ff import backends

# The compiler splits sums of more rows, and first writes to memory what is to be summed.
MOST_ROWS = 32
# Enough for the vector units, and few enough for small matrices.
LEAST_LANES = 256
# With 100 groups and 32 rows normalisation takes 0.6 to 0.8 of the time.
MOST_GROUPS_PER_ROW = 4


def apply(x):
    """Whether sums down rows of lanes are the quick way here."""
    known = all(x.shape[1:])  # neither `None` nor 0
    # A GPU needs no such help.
    return known and backends.is_fusing() and backends.is_on_processors()


def apply_to_groups(x, groups):
    """Whether `ChannelGroups` are the quick way for a tensor's groups."""
    if len(x.shape) < 3 or not apply(x):
        return False
    # With many groups, products take too long.
    return groups <= MOST_GROUPS_PER_ROW * _rows(math.prod(x.shape[1:-1]))


def mean(x, axes, keepdims=False):
    """As `ops.mean`: down rows of lanes where it is that of whole samples."""
    if not _are_samples(x, axes):
        return ops.mean(x, axis=axes, keepdims=keepdims)
    means = _sample_means(x)
    return ops.reshape(means, (-1,) + (1,) * len(axes)) if keepdims else means


def sum(x, axes):
    """As `ops.sum`: down rows of lanes where it is that of whole samples."""
    if not _are_samples(x, axes):
        return ops.sum(x, axis=axes)
    return math.prod(x.shape[1:]) * _sample_means(x)


def group_means(x, groups):
    """Means over equal groups of neighbouring channels and all positions: (batch, groups)."""
    if apply_to_groups(x, groups):
        lanes = ChannelGroups(x.shape, groups)
        return lanes.means(ops.mean(lanes.fold(x), axis=1))
    grouped = ops.reshape(x, (-1, *x.shape[1:-1], groups, x.shape[-1] // groups))
    axes = tuple(axis for axis in range(1, len(grouped.shape)) if axis != len(x.shape) - 1)
    return ops.mean(grouped, axis=axes)


def _are_samples(x, axes):
    return axes == tuple(range(1, len(x.shape))) and apply(x)


def _sample_means(x):
    size = math.prod(x.shape[1:])
    rows = _rows(size)
    # Sums of sums the compiler makes one sum again, in the slow order; means of means it does not.
    return ops.mean(ops.mean(ops.reshape(x, (-1, rows, size // rows)), axis=1), axis=1)


class ChannelGroups:
    """Equal groups of neighbouring channels, in tensors of shape (batch, ..., channels)."""

    def __init__(self, shape, groups):
        positions, channels = math.prod(shape[1:-1]), shape[-1]
        self.rows = _rows(positions)
        others = positions // self.rows
        enough = [one for one in _divisors(others) if one * channels >= LEAST_LANES]
        side_by_side = min(enough, default=others)
        self.lanes = side_by_side * channels
        self.blocks = others // side_by_side
        self.groups = groups
        self.size = math.prod(shape[1:]) // groups
        of_channels = np.repeat(np.eye(groups, dtype="float32"), channels // groups, axis=1)
        self._members = np.tile(of_channels, side_by_side)

    def fold(self, x):
        """A tensor as one of shape (batch · blocks, rows, lanes)."""
        return ops.reshape(x, (-1, self.rows, self.lanes))

    def means(self, of_lanes):
        """Means of groups, (batch, groups), from values of lanes, (batch · blocks, lanes)."""
        of_blocks = ops.matmul(of_lanes, self._members.T) / (self.lanes // self.groups)
        if self.blocks == 1:
            return of_blocks
        return ops.mean(ops.reshape(of_blocks, (-1, self.blocks, self.groups)), axis=1)

    def spread(self, values):
        """Values of groups, (batch, groups), for every lane: (batch · blocks, 1, lanes)."""
        of_blocks = ops.repeat(values, self.blocks, axis=0) if self.blocks > 1 else values
        return ops.expand_dims(ops.matmul(of_blocks, self._members), 1)


def _rows(positions):
    return max(_divisors(positions, MOST_ROWS))


def _divisors(number, most=None):
    return [one for one in range(1, (most or number) + 1) if number % one == 0]


def mean_of_samples(values):
    """Mean of float values over their first axis; 0, not nan, where a replica has no samples."""
    if not len(values.shape):
        return values
    if values.shape[0]:  # known, and not 0
        return ops.mean(values, axis=0)
    count = ops.cast(ops.shape(values)[0], values.dtype)
    return ops.sum(values, axis=0) / ops.maximum(count, 1)
