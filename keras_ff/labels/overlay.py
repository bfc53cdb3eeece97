"""Overlay: the label written over the first pixels."""

import math

from keras import ops

from keras_ff.labels.label_embedding import LabelEmbedding, as_rows, label_length
from keras_ff.utils.registry import registered


@registered
class Overlay(LabelEmbedding):
    """Writes the label over the first pixels, as Hinton (2022) does.

    Class k takes the k-th pixel in reading order (row by row), in every channel; the pixels of
    all classes are blanked first. Flat samples lose their first `num_classes` features.

    Args:
        strength: float above 0: `‖label‖² = strength · ‖x‖²`, where x has its label pixels
            blanked. Defaults to `0.1`.

    Call arguments:
        x: tensor of shape (batch, height, width, channels), (batch, height, width) or
            (batch, features).
        labels: integer tensor of shape (batch,), or `None` for the neutral label.
        num_classes: number of classes.

    Returns:
        float32 tensor of x's shape.

    Raises:
        ValueError: if `strength` is not above 0, or a sample has no more pixels than there are
            classes.

    Example:

    >>> import numpy as np
    >>> embedding = Overlay(strength=1.0)
    >>> print(np.array(embedding(np.array([[9.0, 9.0, 3.0, 4.0]]), np.array([1]), num_classes=2)))
    [[0. 5. 3. 4.]]
    """

    def __call__(self, x, labels, num_classes):
        pixels, channels = self._pixels(x.shape, num_classes)
        rest = ops.reshape(ops.cast(x, "float32"), (-1, pixels, channels))[:, num_classes:]
        pattern = self.pattern(as_rows(rest), labels, num_classes) / math.sqrt(channels)
        pattern = ops.repeat(ops.expand_dims(pattern, 2), channels, axis=2)
        return ops.reshape(ops.concatenate([pattern, rest], axis=1), (-1, *x.shape[1:]))

    def output_shape(self, input_shape, num_classes):
        self._pixels(input_shape, num_classes)
        return tuple(input_shape)

    def separate(self, x, num_classes):
        """As for `Append`; the rows are of x's own size."""
        pixels, channels = self._pixels(x.shape, num_classes)
        own = num_classes * channels
        blanked = ops.pad(as_rows(x)[:, own:], [[0, 0], [own, 0]])
        directions = ops.repeat(ops.eye(num_classes, dtype="float32"), channels, axis=1)
        directions = directions / math.sqrt(channels)
        directions = ops.pad(directions, [[0, 0], [0, pixels * channels - own]])
        return blanked, label_length(blanked, self.strength), directions

    @staticmethod
    def _pixels(shape, num_classes):
        """Number of pixels and of channels of a sample."""
        channels = shape[-1] if len(shape) == 4 else 1
        pixels = math.prod(shape[1:]) // channels
        if pixels <= num_classes:
            raise ValueError(
                f"Overlay needs a pixel for each of {num_classes} classes and some to spare; "
                "use keras_ff.labels.Append() for samples this small. "
                f"Received: samples of shape {tuple(shape[1:])}, {pixels} pixels"
            )
        return pixels, channels
