"""Append: the label as extra inputs of a flat sample."""

import math

from keras import ops

from keras_ff.labels.label_embedding import LabelEmbedding, as_rows, label_length
from keras_ff.utils.registry import registered


@registered
class Append(LabelEmbedding):
    """Appends one input per class to the flattened sample.

    Overwrites nothing, which matters on small images. A sample of shape (28, 28, 1) with ten
    classes becomes a row of 794 features.

    Args:
        strength: float above 0: `‖label‖² = strength · ‖x‖²`. Defaults to `0.1`.

    Call arguments:
        x: tensor of shape (batch, ...).
        labels: integer tensor of shape (batch,), or `None` for the neutral label.
        num_classes: number of classes.

    Returns:
        float32 tensor of shape (batch, features + num_classes).

    Raises:
        ValueError: if `strength` is not above 0.

    Example:

    >>> import numpy as np
    >>> embedding = Append(strength=1.0)
    >>> print(np.array(embedding(np.array([[3.0, 4.0]]), np.array([1]), num_classes=3)))
    [[3. 4. 0. 5. 0.]]
    """

    def __call__(self, x, labels, num_classes):
        pixels = as_rows(x)
        return ops.concatenate([pixels, self.pattern(pixels, labels, num_classes)], axis=1)

    def output_shape(self, input_shape, num_classes):
        return (input_shape[0], math.prod(input_shape[1:]) + num_classes)

    def separate(self, x, num_classes):
        """Pixels with room for the label, the label's length, and its direction for each class.

        Returns:
            float32 tensors of shape (batch, features + num_classes), (batch, 1) and
            (num_classes, features + num_classes): an embedded sample, as a row, is the first plus
            the second times its class's row of the third.
        """
        pixels = as_rows(x)
        features = pixels.shape[1]
        room = ops.pad(pixels, [[0, 0], [0, num_classes]])
        directions = ops.eye(num_classes, features + num_classes, k=features, dtype="float32")
        return room, label_length(pixels, self.strength), directions
