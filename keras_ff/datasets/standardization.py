"""From grey levels to the floats that a model sees."""

import numpy as np


def to_float(training_images, white, standardize):
    """A function from uint8 images to the float32 ones that a model sees."""
    import tensorflow as tf

    center, scale = 0.0, white
    if standardize:
        center, scale = _channel_moments(training_images)
        # A channel that never changes becomes 0 throughout.
        scale = np.where(scale > 0, scale, 1.0)
    # Grey levels are standardised directly: that they lie in [0, 1] first would cancel out. Rows of
    # whole images take a third of the time of pixels of few channels each.
    shape = training_images.shape[1:]
    center, scale = (
        np.broadcast_to(np.float32(moment), shape).reshape(-1) for moment in (center, scale)
    )

    def standardized(images):
        rows = tf.reshape(images, [-1, len(center)])
        return tf.reshape((tf.cast(rows, tf.float32) - center) / scale, [-1, *shape])

    return standardized


def _channel_moments(images):
    """Mean and standard deviation of every channel, in grey levels."""
    channels = images.shape[-1]
    total, squares = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    # In pieces, because integers wide enough for the sums take eight times the memory.
    for start in range(0, len(images), 1024):
        pixels = images[start : start + 1024].reshape(-1, channels).astype(np.int64)
        total += pixels.sum(axis=0)
        squares += np.square(pixels).sum(axis=0)
    count = images.size // channels
    mean = total / count
    return mean, np.sqrt(squares / count - mean**2)
