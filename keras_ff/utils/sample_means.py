"""Means over the samples of a batch, of which a replica may have none."""

from keras import ops


def mean_of_samples(figures):
    """Mean of float figures over their first axis; 0, not nan, where there are no samples."""
    if not len(figures.shape):
        return figures
    count = ops.cast(ops.shape(figures)[0], figures.dtype)
    return ops.sum(figures, axis=0) / ops.maximum(count, 1)
