"""Samples as images, and images on a sheet."""

import math

import numpy as np

# Value of the space between images, and its width in pixels.
GAP = 1


def tiled(images, columns, gap=1.0):
    """Images side by side on one sheet, with a line of the value `gap` between them.

    Example:

    >>> print(tiled(np.array([[[[0.5]]], [[[0.25]]]]), columns=2)[..., 0])
    [[0.5  1.   0.25]]
    """
    number, height, width, channels = images.shape
    rows = -(-number // columns)
    sheet = np.full(
        (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels), gap, images.dtype
    )
    for index, image in enumerate(images):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet


def can_be_seen(shape):
    """Whether samples of a shape, without the batch axis, are images that can be drawn."""
    return len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3))


def as_images(samples):
    """Samples as images of (height, width, channels), all stretched alike to values from 0 to 1."""
    samples = np.asarray(samples, "float64")
    if not can_be_seen(samples.shape[1:]):
        raise ValueError(
            "Samples can be drawn where they are images of one or three channels. "
            f"Received: samples of shape {samples.shape[1:]}"
        )
    if samples.ndim == 3:
        samples = samples[..., np.newaxis]
    return stretched(samples)


def stretched(values):
    """Values from 0 for the smallest to 1 for the largest."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def separate_label(embedded, shape, num_classes):
    """Samples of `shape`, and apart from them what stands of their labels beside them.

    Labels are of shape (batch, num_classes), or (batch, height, width) where the label is a further
    channel; `None` where it stands in the sample itself, or nowhere. Both are `None` where the
    embedded samples are not such as these.

    Example:

    >>> sample, label = separate_label(np.arange(6.0).reshape(1, 6), (2, 2, 1), 2)
    >>> sample.shape, label.tolist()
    ((1, 2, 2, 1), [[4.0, 5.0]])
    """
    size = math.prod(shape)
    if embedded.shape[1:] == tuple(shape):
        return embedded, None
    if embedded.shape[1:] == (size + num_classes,):
        return embedded[:, :size].reshape(-1, *shape), embedded[:, size:]
    if len(shape) == 3 and embedded.shape[1:] == (*shape[:2], shape[2] + 1):
        return embedded[..., : shape[2]], embedded[..., shape[2]]
    if len(shape) == 2 and embedded.shape[1:] == (*shape, 2):
        return embedded[..., 0], embedded[..., 1]
    return None, None
