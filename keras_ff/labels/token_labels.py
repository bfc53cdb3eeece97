"""TokenLabels: the label in every patch of an image, for attention."""

from keras import ops

from keras_ff.labels.label_embedding import LabelEmbedding, as_images, as_rows, image_shape
from keras_ff.utils import checks, patches
from keras_ff.utils.registry import registered


@registered
class TokenLabels(LabelEmbedding):
    """Cuts an image into patches and appends the label to every one of them.

    Each patch becomes a token: its pixels, and one input per class behind them. The label is equal
    in all tokens, which share its energy: n tokens get `strength · ‖x‖² / n` each, as much in
    dark corners as in bright ones.

    Args:
        patch_size: integer above 0, side of a patch in pixels. Defaults to `4`.
        strength: float above 0: `‖label‖² = strength · ‖x‖²`, over all tokens together. Defaults
            to `0.1`.

    Call arguments:
        x: tensor of shape (batch, height, width, channels) or (batch, height, width).
        labels: integer tensor of shape (batch,), or `None` for the neutral label.
        num_classes: number of classes.

    Returns:
        float32 tensor of shape (batch, patches, patch_size² · channels + num_classes), patches in
        reading order.

    Raises:
        ValueError: if `strength` is not above 0, `patch_size` is not an integer above 0 that
            divides height and width, or a sample is no image.

    Example:

    >>> import numpy as np
    >>> embedding = TokenLabels(patch_size=1, strength=2.0)
    >>> print(np.array(embedding(np.array([[[3.0, 4.0]]]), np.array([1]), num_classes=3)))
    [[[3. 0. 5. 0.]
      [4. 0. 5. 0.]]]
    """

    def __init__(self, patch_size=4, strength=0.1):
        super().__init__(strength)
        self.patch_size = checks.whole_number(patch_size, "patch_size")

    def __call__(self, x, labels, num_classes):
        tokens = patches.cut(as_images(x, "TokenLabels"), self.patch_size)
        count = tokens.shape[1]
        pattern = self.pattern(as_rows(tokens), labels, num_classes) / count**0.5
        pattern = ops.repeat(ops.expand_dims(pattern, 1), count, axis=1)
        return ops.concatenate([tokens, pattern], axis=2)

    def output_shape(self, input_shape, num_classes):
        height, width, channels = image_shape(input_shape, "TokenLabels")
        rows, columns = patches.patch_grid(height, width, self.patch_size)
        return (input_shape[0], rows * columns, self.patch_size**2 * channels + num_classes)

    def get_config(self):
        return {"patch_size": self.patch_size, **super().get_config()}
