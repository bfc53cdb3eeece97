"""What the auxiliary terms on pairs of samples share."""

from keras import ops

# Squared length below which a vector has no direction.
NO_LENGTH = 1e-12


def unit_length(vectors):
    """Vectors of length 1, or 0 where there is no direction, which then gets no gradient.

    Args:
        vectors: float32 tensor of shape (batch, features).

    Returns:
        float32 tensor of the same shape.
    """
    square = ops.sum(ops.square(vectors), axis=-1, keepdims=True)
    # Both branches are finite, so that the gradient is, too.
    scaled = vectors * ops.rsqrt(ops.maximum(square, NO_LENGTH))
    return ops.where(square > NO_LENGTH, scaled, ops.zeros_like(vectors))


def one_label_per_sample(labels, activities):
    """Labels as a tensor of shape (batch,), or a ValueError where some lack or are too many."""
    labels = ops.reshape(labels, (-1,))
    samples = activities.shape[0]
    if None not in (samples, labels.shape[0]) and samples != labels.shape[0]:
        raise ValueError(
            "Every sample needs one label. Received: activities of shape "
            f"{tuple(activities.shape)} and {labels.shape[0]} labels"
        )
    return labels
