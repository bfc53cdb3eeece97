"""What all label embeddings share: the label's energy is a share of the sample's."""

import math

from keras import ops

from keras_ff.utils import checks, registry

# A blank image still gets a label that can be read.
SMALLEST_ENERGY = 1e-6


class LabelEmbedding(registry.Part):
    """Base of the label embeddings without weights.

    Args:
        strength: float above 0: energy of the label as a share of the energy of the sample's
            own pixels, `‖label‖² = strength · ‖x‖²`. Defaults to `0.1`.
    """

    # Whether the embedding has weights, which the first layer's loss moves.
    learned = False

    def __init__(self, strength=0.1):
        self.strength = checks.positive_number(strength, "strength")

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
        length = label_length(pixels, self.strength)
        if labels is None:
            return length * ops.full((1, num_classes), 1 / math.sqrt(num_classes), "float32")
        return length * ops.one_hot(labels, num_classes, dtype="float32")

    def get_config(self):
        return {"strength": self.strength}


def label_length(pixels, strength):
    """The label's length `√(strength · ‖x‖²)`, of shape (batch, 1), for rows of pixels."""
    energy = ops.sum(ops.square(pixels), axis=1, keepdims=True)
    return ops.sqrt(strength * ops.maximum(energy, SMALLEST_ENERGY))


def as_rows(x):
    """x as float32 rows of shape (batch, features)."""
    return ops.reshape(ops.cast(x, "float32"), (-1, math.prod(x.shape[1:])))


def image_shape(shape, embedding):
    """(height, width, channels) of a batch's shape, or a ValueError that names the embedding."""
    if len(shape) == 3:
        return (*shape[1:], 1)
    if len(shape) == 4:
        return tuple(shape[1:])
    raise ValueError(
        f"{embedding} takes images of shape (batch, height, width, channels) or "
        "(batch, height, width); for flat samples there is keras_ff.labels.Append(). "
        f"Received: samples of shape {tuple(shape[1:])}"
    )


def as_images(x, embedding):
    """x as float32 images of shape (batch, height, width, channels)."""
    return ops.reshape(ops.cast(x, "float32"), (-1, *image_shape(x.shape, embedding)))
