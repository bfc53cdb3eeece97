"""Softmax: scores by a linear head on the layers' activities."""

import math

import keras
from keras import ops

from keras_ff import backends
from keras_ff.backends.reductions import mean_of_samples
from keras_ff.normalizations.length_normalization import LengthNormalization
from keras_ff.optimizers.optimizer_template import OptimizerTemplate
from keras_ff.readouts import layer_choice
from keras_ff.readouts.base import Readout
from keras_ff.utils import checks, keras_internals
from keras_ff.utils.average_pooling import number_of_features, pooled
from keras_ff.utils.registry import registered


@registered
class Softmax(Readout):
    """Scores by a linear head on the layers' activities: one pass with the neutral label.

    The head is trained beside the layers by cross-entropy, on detached, length-normalised
    activities (Hinton 2022, §3.3); no gradient of it reaches a layer.

    Args:
        layers: `None`: all but the first, as Hinton does, or the only one; `"all"`; or a list of
            layer indices. Layers that have not been trained yet never count. Defaults to `None`.
        optimizer: a Keras optimizer, by name or object. Defaults to `None`: a copy of the one
            that `FFModel.compile` is given.
        kernel_regularizer: as for `keras.layers.Dense`. Defaults to `None`.
        regions: integer. Average pooling of the activities of convolutions to at most this many
            regions per side; 1 is global average pooling. Defaults to `None`: no pooling.
        standardized: boolean. Whether the head's inputs are also standardised, by moments of the
            batch in training, and by their moving averages afterwards. Defaults to `False`.
        mirrored: boolean. Test-time augmentation: whether the logits of an image are averaged with
            those of its mirror image, left and right exchanged. This takes a second pass, and is
            meant for networks trained with random flips. Defaults to `False`.
        shift: integer, pixels. Test-time augmentation: above 0 the logits of the image are averaged
            with those of the image shifted by so much down to the right, and up to the left, which
            takes three passes. Defaults to `0`.

    Call arguments:
        features: as from `features`, float32 of shape (batch, features).
        training: boolean. Defaults to `False`.

    Returns:
        Logits, float32 of shape (batch, num_classes).

    Raises:
        ValueError: if an index is not that of a layer, an argument is out of its range, or
            samples to be mirrored or moved have another shape than (height, width, channels).

    Example:

    >>> readout = Softmax(layers="all", kernel_regularizer=keras.regularizers.L2(1e-4))
    >>> of_convolutions = Softmax(layers=[-2, -1], regions=1, standardized=True)
    """

    reads_activities = True
    learns = True

    def __init__(
        self,
        layers=None,
        optimizer=None,
        kernel_regularizer=None,
        regions=None,
        standardized=False,
        mirrored=False,
        shift=0,
        **kwargs,
    ):
        super().__init__(mirrored, shift, **kwargs)
        self.layers = layer_choice.checked_layers(layers)
        self.regions = None if regions is None else checks.whole_number(regions, "regions")
        if not isinstance(standardized, bool):
            raise ValueError(
                f"`standardized` must be a boolean. Received: standardized={standardized!r}"
            )
        self.standardized = standardized
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.own_optimizer = OptimizerTemplate(optimizer)
        self.optimizer = None
        self.normalization = LengthNormalization(dtype="float32")
        self.standardization = None
        if self.standardized:
            # Twenty batches tell the moments well; Keras's default takes hundreds to forget zeros.
            self.standardization = keras.layers.BatchNormalization(
                momentum=0.9, center=False, scale=False, dtype="float32", name="standardization"
            )
        self.head = None

    def build_for(self, activities_shapes, num_classes, sample_shape):
        super().build_for(activities_shapes, num_classes, sample_shape)
        wanted = layer_choice.chosen(self.layers, len(activities_shapes))
        self.num_features = [
            self._num_features_of(shape) if chosen else 0
            for shape, chosen in zip(activities_shapes, wanted, strict=True)
        ]
        features = sum(self.num_features)
        if self.head is not None:
            if self.head.kernel.shape != (features, num_classes):
                raise ValueError(
                    "The readout's head was made for another model; give every model a readout of "
                    f"its own. Received: a head of {self.head.kernel.shape[0]} features and "
                    f"{self.head.kernel.shape[1]} classes, for {features} features and "
                    f"{num_classes} classes"
                )
            return
        self.head = keras.layers.Dense(
            num_classes,
            kernel_initializer="zeros",
            kernel_regularizer=self.kernel_regularizer,
            dtype="float32",
            name="head",
        )
        self.head.build((None, features))
        if self.standardization is not None:
            self.standardization.build((None, features))
        self.build_temperature()
        self.built = True
        keras_internals.keep_frozen(self)

    def learners(self):
        return [self]

    def _num_features_of(self, activities_shape):
        if self.regions is None:
            return math.prod(activities_shape[1:])
        return number_of_features(activities_shape, self.regions)

    def features(self, activities, trained):
        """Inputs of the head: float32 tensor of shape (batch, features), detached.

        Args:
            activities: list with the activities of every layer, as of samples with a neutral label.
            trained: boolean tensor of shape (layers,).
        """
        counts = layer_choice.counts(self.layers, trained)
        rows = []
        for index, width in enumerate(self.num_features):
            if width:
                row = activities[index]
                if self.regions is not None:
                    row = pooled(ops.cast(row, "float32"), self.regions)
                rows.append(counts[index] * self.normalization(ops.reshape(row, (-1, width))))
        return ops.stop_gradient(ops.concatenate(rows, axis=1))

    def scores(self, values_of, x, trained):
        return self.head(self.head_inputs(values_of, x, trained))

    def test_step(self, values_of, x, labels, trained, sample_weight=None, known=None):
        scores = self.scores(values_of, x, trained)
        return scores, self.loss(scores, labels, sample_weight)

    def head_inputs(self, values_of, x, trained):
        """Inputs of the head for samples to score; arguments as for `scores`."""
        # The head is linear: averaging its inputs averages its logits.
        total, views = self.over_views(lambda view: self.features(values_of(view), trained), x)
        return self._standardize(total / views, training=False)

    def call(self, features, training=False):
        return self.head(self._standardize(features, training))

    def _standardize(self, features, training):
        if self.standardization is None:
            return features
        return ops.stop_gradient(self.standardization(features, training=training))

    def loss(self, logits, labels, sample_weight=None):
        """The head's loss, a scalar: cross-entropy and regularisers."""
        losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        if sample_weight is not None:
            losses = losses * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        return sum(self.head.losses, mean_of_samples(losses))

    def train_step(self, features, labels, sample_weight=None):
        """One step of the head; returns its scores and its loss of before the step.

        Args:
            features: as from `features`.
            labels: int32 tensor of shape (batch,).
            sample_weight: tensor of shape (batch,), or `None`.
        """
        features = self._standardize(features, training=True)

        def objective():
            logits = self.head(features)
            loss = self.loss(logits, labels, sample_weight)
            share = backends.share(ops.shape(features)[0])
            return self.optimizer.scale_loss(loss * share), (logits, loss)

        (_, results), gradients = backends.value_and_grad(objective, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return results

    def get_config(self):
        layers = self.layers
        return {
            **super().get_config(),
            "layers": list(layers) if isinstance(layers, (list, tuple)) else layers,
            "optimizer": self.own_optimizer.get_config(),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "regions": self.regions,
            "standardized": self.standardized,
            "mirrored": self.mirrored,
            "shift": self.shift,
        }
