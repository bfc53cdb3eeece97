"""LabelMap: the label as an extra channel that is learned."""

import keras
from keras import ops

from keras_ff.labels.label_embedding import as_images, as_rows, image_shape, label_length
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class LabelMap(keras.layers.Layer):
    """Adds a channel that shows the class's own map, and learns the maps.

    The channel is the map `m_k` of class k at the label's length, `√(strength · ‖x‖²) m_k / ‖m_k‖`,
    so that a map's own length is of no account. The neutral label is the mean of all maps of unit
    length, brought to the same energy. A learned channel is what Dooms et al. (The Trifecta, 2023)
    show their convolutions. A Keras layer, because the maps are weights.

    Args:
        strength: float above 0: `‖label‖² = strength · ‖x‖²`. Defaults to `0.1`.
        seed: integer or `None`: seed of the maps' first values, normal and about of unit length.
            Defaults to `None`: drawn, and set by `keras.utils.set_random_seed`.
        **kwargs: `name`, `trainable`, as for every Keras layer.

    Call arguments:
        x: tensor of shape (batch, height, width, channels) or (batch, height, width).
        labels: integer tensor of shape (batch,), or `None` for the neutral label.
        num_classes: number of classes.

    Returns:
        float32 tensor of shape (batch, height, width, channels + 1).

    Raises:
        ValueError: if `strength` is not above 0, a sample is no image, or images or classes are
            not those that the maps were made for.

    Example:

    >>> import numpy as np
    >>> embedding = LabelMap(strength=0.5, seed=1)
    >>> embedded = np.array(embedding(np.ones((2, 8, 8, 1)), np.array([3, 7]), num_classes=10))
    >>> print(embedded.shape, np.sum(embedded[..., -1] ** 2, axis=(1, 2)).round(3))
    (2, 8, 8, 2) [32. 32.]
    >>> tuple(embedding.maps.shape)
    (10, 8, 8)
    """

    learned = True

    def __init__(self, strength=0.1, seed=None, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.strength = checks.positive_number(strength, "strength")
        self.seed = seed
        self.num_classes = None
        self.maps = None

    def build_for(self, sample_shape, num_classes):
        """Create the maps; once they are there, check that they fit.

        Args:
            sample_shape: shape of a batch, (None, height, width, channels) or
                (None, height, width).
            num_classes: number of classes.

        Raises:
            ValueError: if a sample is no image, or the maps were made for others.
        """
        height, width, _ = image_shape(sample_shape, "LabelMap")
        if not self.built:
            self.num_classes = checks.whole_number(num_classes, "num_classes")
            self.build(tuple(sample_shape))
        if tuple(self.maps.shape) != (num_classes, height, width):
            made_for, own_height, own_width = self.maps.shape
            raise ValueError(
                f"The maps are for {made_for} classes and images of {own_height} by {own_width} "
                "pixels; another model needs a LabelMap of its own. "
                f"Received: {num_classes} classes and samples of shape {tuple(sample_shape[1:])}"
            )

    def build(self, sample_shape):
        if self.num_classes is None:
            raise ValueError(
                "A LabelMap must be told the number of classes: call "
                "`build_for(sample_shape, num_classes)`. Received: num_classes=None"
            )
        height, width, _ = image_shape(sample_shape, "LabelMap")
        self.maps = self.add_weight(
            shape=(self.num_classes, height, width),
            initializer=keras.initializers.RandomNormal(
                stddev=(height * width) ** -0.5, seed=self.seed
            ),
            dtype="float32",
            autocast=False,
            name="maps",
        )

    def __call__(self, x, labels, num_classes):
        self.build_for(x.shape, num_classes)
        # Keras takes tensors alone as positional arguments.
        return super().__call__(x, labels, num_classes=num_classes)

    def call(self, x, labels, num_classes):
        images = as_images(x, "LabelMap")
        maps = ops.normalize(ops.reshape(self.maps, (num_classes, -1)), axis=1)
        if labels is None:
            label = ops.normalize(ops.mean(maps, axis=0, keepdims=True), axis=1)
        else:
            label = ops.take(maps, labels, axis=0)
        label = label_length(as_rows(x), self.strength) * label
        label = ops.reshape(label, (-1, *images.shape[1:3], 1))
        return ops.concatenate([images, label], axis=3)

    def output_shape(self, input_shape, num_classes):
        """Shape of the embedded input; raises ValueError where the label does not fit."""
        del num_classes
        height, width, channels = image_shape(input_shape, "LabelMap")
        return (input_shape[0], height, width, channels + 1)

    def get_build_config(self):
        if not self.built:
            return None
        num_classes, height, width = self.maps.shape
        return {"sample_shape": [None, height, width], "num_classes": num_classes}

    def build_from_config(self, config):
        self.build_for(tuple(config["sample_shape"]), config["num_classes"])

    def get_config(self):
        return {**super().get_config(), "strength": self.strength, "seed": self.seed}
