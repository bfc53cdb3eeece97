"""Label embeddings: how a class enters the input.

`embedding(x, labels, num_classes)` returns x with the classes in it; `labels=None` gives the
neutral input, in which every class stands equally. The label's energy (sum of squares) is
`strength` times that of the sample's own pixels, sample by sample: it depends neither on the rest
of the batch nor on which label it is, and it is the same for positives, negatives, neutrals and
scores.
"""

import math

from keras import ops

from keras_ff import parts
from keras_ff.parts import registered

# A blank image still gets a label that can be read.
SMALLEST_ENERGY = 1e-6


class LabelEmbedding(parts.Part):
    """Base of the label embeddings.

    Args:
        strength: float above 0: energy of the label as a share of the energy of the sample's
            own pixels, `‖label‖² = strength · ‖x‖²`. Defaults to `0.1`.
    """

    def __init__(self, strength=0.1):
        self.strength = parts.positive_number(strength, "strength")

    def __call__(self, x, labels, num_classes):
        raise NotImplementedError

    def output_shape(self, input_shape, num_classes):
        """Shape of the embedded input; raises ValueError where the label does not fit."""
        raise NotImplementedError

    def pattern(self, pixels, labels, num_classes):
        """Label rows of shape (batch, num_classes) with the right energy for `pixels`.

        Args:
            pixels: float32 tensor of shape (batch, features): the sample without its label.
            labels: integer tensor of shape (batch,), or `None` for the neutral label.
            num_classes: number of classes.
        """
        length = self._length(pixels)
        if labels is None:
            return length * ops.full((1, num_classes), 1 / math.sqrt(num_classes))
        return length * ops.one_hot(labels, num_classes, dtype="float32")

    def _length(self, pixels):
        """Length of the label that goes with `pixels`, of shape (batch, 1)."""
        energy = ops.sum(ops.square(pixels), axis=1, keepdims=True)
        return ops.sqrt(self.strength * ops.maximum(energy, SMALLEST_ENERGY))

    def get_config(self):
        return {"strength": self.strength}


@registered
class Append(LabelEmbedding):
    """Appends one input a class to the flattened sample.

    Overwrites nothing, which tells on small images. A sample of shape (28, 28, 1) with ten
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
        pixels = _rows(x)
        return ops.concatenate([pixels, self.pattern(pixels, labels, num_classes)], axis=1)

    def output_shape(self, input_shape, num_classes):
        return (input_shape[0], math.prod(input_shape[1:]) + num_classes)

    def separate(self, x, num_classes):
        """Pixels with room for the label, the label's length, and its direction a class.

        Returns:
            float32 tensors of shape (batch, features + num_classes), (batch, 1) and
            (num_classes, features + num_classes): an embedded sample, as a row, is the first plus
            the second times its class's row of the third.
        """
        pixels = _rows(x)
        blank = ops.zeros_like(pixels[:, :1]) * ops.ones((1, num_classes))
        patterns = ops.eye(num_classes, pixels.shape[1] + num_classes, k=pixels.shape[1])
        return ops.concatenate([pixels, blank], axis=1), self._length(pixels), patterns


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
        pattern = self.pattern(_rows(rest), labels, num_classes) / math.sqrt(channels)
        pattern = ops.repeat(ops.expand_dims(pattern, 2), channels, axis=2)
        return ops.reshape(ops.concatenate([pattern, rest], axis=1), (-1, *x.shape[1:]))

    def output_shape(self, input_shape, num_classes):
        self._pixels(input_shape, num_classes)
        return tuple(input_shape)

    def separate(self, x, num_classes):
        """As for `Append`, the rows being of x's own size."""
        pixels, channels = self._pixels(x.shape, num_classes)
        rows = _rows(x)
        own = num_classes * channels
        blanked = ops.concatenate([ops.zeros_like(rows[:, :own]), rows[:, own:]], axis=1)
        directions = ops.repeat(ops.eye(num_classes), channels, axis=1) / math.sqrt(channels)
        rest = ops.zeros((num_classes, pixels * channels - own))
        return blanked, self._length(blanked), ops.concatenate([directions, rest], axis=1)

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


def _rows(x):
    """x as float32 rows of shape (batch, features)."""
    return ops.reshape(ops.cast(x, "float32"), (-1, math.prod(x.shape[1:])))


KNOWN = {"append": Append, "overlay": Overlay}


def get(identifier):
    """A label embedding by name, object or configuration; see `keras_ff.parts.get`."""
    return parts.get(identifier, LabelEmbedding, KNOWN, "label embedding")
