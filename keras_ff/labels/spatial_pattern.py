"""SpatialPattern: the label as a wave over the whole image, for convolutions to see everywhere."""

import functools
import itertools
import math

import numpy as np
from keras import ops

from keras_ff.labels.label_embedding import LabelEmbedding, as_images, image_shape, label_length
from keras_ff.utils.registry import registered


@registered
class SpatialPattern(LabelEmbedding):
    """Adds a wave to the whole image, another one for every class.

    A convolution sees a label in the first pixels in one corner alone; a wave it sees
    everywhere. Class k takes the k-th of the image's real Fourier waves, `cos φ` and `sin φ` with
    `φ = 2π (f_y · row / height + f_x · column / width)`, lowest frequencies first. The waves are
    orthonormal, have mean zero, and are equal in all channels. The neutral label is the sum of
    all waves, at the same energy. Nothing of the image is blanked: the label is added to it.

    Args:
        strength: float above 0: `‖label‖² = strength · ‖x‖²`. Defaults to `0.1`.

    Call arguments:
        x: tensor of shape (batch, height, width, channels) or (batch, height, width).
        labels: integer tensor of shape (batch,), or `None` for the neutral label.
        num_classes: number of classes, at most `height · width − 1`.

    Returns:
        float32 tensor of x's shape.

    Raises:
        ValueError: if `strength` is not above 0, a sample is no image, or an image has fewer
            waves than there are classes.

    Example:

    >>> import numpy as np
    >>> embedding = SpatialPattern(strength=0.25)
    >>> image = np.array([[[2.0, 2.0], [2.0, 2.0]]])
    >>> print(np.array(embedding(image, np.array([0]), num_classes=2)))
    [[[3. 1.]
      [3. 1.]]]
    """

    def __call__(self, x, labels, num_classes):
        self.output_shape(x.shape, num_classes)
        images = as_images(x, "SpatialPattern")
        height, width, channels = images.shape[1:]
        waves = ops.convert_to_tensor(fourier_waves(height, width, num_classes))
        if labels is None:
            pattern = ops.sum(waves, axis=0, keepdims=True) / math.sqrt(num_classes)
        else:
            pattern = ops.take(waves, labels, axis=0)
        pixels = ops.reshape(images, (-1, height * width * channels))
        # In every channel the same, which share the energy.
        pattern = label_length(pixels, self.strength / channels) * pattern
        pattern = ops.reshape(pattern, (-1, height, width, 1))
        return ops.reshape(images + pattern, (-1, *x.shape[1:]))

    def output_shape(self, input_shape, num_classes):
        height, width, _ = image_shape(input_shape, "SpatialPattern")
        if num_classes > height * width - 1:
            raise ValueError(
                f"Images of {height} by {width} pixels have {height * width - 1} waves, too few "
                f"for {num_classes} classes; use larger images or keras_ff.labels.Append(). "
                f"Received: samples of shape {tuple(input_shape[1:])}"
            )
        return tuple(input_shape)


@functools.lru_cache(maxsize=16)
def fourier_waves(height, width, count):
    """The first `count` real Fourier waves of an image, lowest frequencies first.

    Args:
        height, width: size of the image in pixels.
        count: number of waves, at most `height · width − 1`.

    Returns:
        float32 array of shape (count, height · width) with orthonormal rows of mean zero.

    Example:

    >>> print(fourier_waves(1, 2, 1).round(2))
    [[ 0.71 -0.71]]
    """
    rows, columns = np.mgrid[:height, :width]
    waves = []
    for down, across in _frequencies(height, width):
        if len(waves) >= count:
            break
        phase = 2 * np.pi * (down * rows / height + across * columns / width)
        for wave in (np.cos(phase).ravel(), np.sin(phase).ravel()):
            length = np.linalg.norm(wave)
            # At half the sampling rate the sine is zero in every pixel.
            if length > 1e-6:
                waves.append(wave / length)
    waves = np.array(waves[:count], "float32")
    waves.flags.writeable = False  # it is kept for the next call
    return waves


def _frequencies(height, width):
    """Frequencies (cycles per image, down and across), lowest first, one of each ± pair."""
    pairs = {
        min((down, across), (-down % height, -across % width))
        for down, across in itertools.product(range(height), range(width))
    }

    def cycles_per_pixel(pair):
        # Frequencies above half the size stand for negative ones; times both sizes, so that
        # integers are compared.
        down, across = (min(at, n - at) for at, n in zip(pair, (height, width), strict=True))
        return (down * width) ** 2 + (across * height) ** 2, pair

    return sorted(pairs - {(0, 0)}, key=cycles_per_pixel)
