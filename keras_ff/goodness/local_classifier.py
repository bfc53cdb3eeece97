"""LocalClassifier: a linear head on a layer, in place of a goodness."""

import math

import keras
from keras import ops

from keras_ff.utils import average_pooling, checks, keras_internals
from keras_ff.utils.registry import registered


@registered
class LocalClassifier(keras.layers.Layer):
    """Logits of a linear head on a layer's activities, in place of a goodness: a baseline.

    `G = W · flatten(pool(y / √mean(y²))) + b`, one logit per class, with a cross-entropy on every
    layer (Nøkland and Eidnes 2019, https://arxiv.org/abs/1901.06656; Dooms 2023). Local as
    Forward-Forward is, and without negatives, but each layer has additional weights to classify
    with. The head belongs to the layer that holds it and learns in its steps; every layer needs an
    object of its own. The head and its inputs are float32. With
    `auxiliary=keras_ff.losses.SimilarityMatching()` beside it a layer has the loss *predsim* of
    Nøkland and Eidnes.

    Args:
        kernel_initializer: as for `keras.layers.Dense`. Defaults to `"glorot_uniform"`.
        kernel_regularizer: as for `keras.layers.Dense`. Defaults to `None`.
        num_classes: integer, needed where the classifier stands alone; a model sets it.
            Defaults to `None`.
        regions: integer, average pooling to at most this many regions per side of an image, as in
            `keras_ff.losses.SupCon`, so that wide convolutions need no head of millions of
            weights. Defaults to `None`: no pooling.

    Call arguments:
        activities: tensor of shape (batch, ...), any float dtype.
        num_classes: integer, in place of the configured one.

    Returns:
        float32 tensor of shape (batch, num_classes).

    Raises:
        ValueError: if the number of classes is not known, or differs from the head's, or the
            shape of the activities is not known.

    Example:

    >>> import numpy as np
    >>> classifier = LocalClassifier(num_classes=3)
    >>> tuple(classifier(np.ones((2, 4, 4, 5))).shape)
    (2, 3)
    """

    per_class = True
    # Whether it takes part in scores.
    scores = True

    def __init__(
        self,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        num_classes=None,
        regions=None,
        **kwargs,
    ):
        # Here, because the layers in turn know the goodness.
        from keras_ff.normalizations.length_normalization import LengthNormalization

        super().__init__(autocast=False, **kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.num_classes = (
            None if num_classes is None else checks.whole_number(num_classes, "num_classes")
        )
        self.regions = None if regions is None else checks.whole_number(regions, "regions")
        self.normalization = LengthNormalization(dtype="float32", name="normalization")
        self.head = None

    def __call__(self, activities, num_classes=None):
        if not self.built:
            self.build_for(activities.shape, num_classes or self.num_classes)
        return super().__call__(activities, num_classes=num_classes)

    def build_for(self, activities_shape, num_classes):
        """Create the head, unless there is one.

        Args:
            activities_shape: shape of a layer's activities, batch axis first.
            num_classes: integer, width of the head.

        Raises:
            ValueError: as for a call.
        """
        self.check(activities_shape, num_classes)
        if not self.built:
            self.num_classes = num_classes
            self.build(activities_shape)

    def build(self, activities_shape):
        """Create the head for the configured number of classes; see `build_for`."""
        self.check(activities_shape, self.num_classes)
        self.head = keras.layers.Dense(
            self.num_classes,
            kernel_initializer=self.kernel_initializer,
            kernel_regularizer=self.kernel_regularizer,
            dtype="float32",
            name="head",
        )
        self.head.build((None, self._number_of_features(activities_shape)))
        keras_internals.keep_frozen(self)

    def call(self, activities, num_classes=None):
        self.check(activities.shape, num_classes or self.num_classes)
        directions = self.normalization(activities)
        if self.regions is not None:
            directions = average_pooling.pooled(directions, self.regions)
        return self.head(ops.reshape(directions, (-1, self._number_of_features(activities.shape))))

    def _number_of_features(self, activities_shape):
        if self.regions is None:
            return math.prod(activities_shape[1:])
        return average_pooling.number_of_features(activities_shape, self.regions)

    def compute_output_shape(self, activities_shape):
        return (activities_shape[0], self.num_classes)

    @property
    def locality(self):
        """Trainable matrices that the gradient passes in the head."""
        return 1

    def unit(self, activities_shape):
        """Goodness has no threshold here, so its unit is one."""
        del activities_shape
        return 1.0

    def check(self, activities_shape, num_classes):
        """Raise ValueError where a head of `num_classes` cannot stand on such activities."""
        if num_classes is None:
            raise ValueError(
                "A LocalClassifier that stands alone must be told the number of classes, "
                "LocalClassifier(num_classes=10). Received: num_classes=None"
            )
        if None in tuple(activities_shape)[1:]:
            raise ValueError(
                "A LocalClassifier needs activities of a known shape. Received: activities of "
                f"shape {tuple(activities_shape)}"
            )
        if self.built and num_classes != self.num_classes:
            raise ValueError(
                f"The head was built for {self.num_classes} classes. "
                f"Received: num_classes={num_classes!r}"
            )

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "num_classes": self.num_classes,
            "regions": self.regions,
        }
