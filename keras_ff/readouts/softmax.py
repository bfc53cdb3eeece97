"""Softmax: scores by a linear head on the layers' activities."""

import keras
from keras import ops

from keras_ff import backends
from keras_ff.normalizations.length_normalization import LengthNormalization
from keras_ff.optimizers.optimizer_template import OptimizerTemplate
from keras_ff.readouts import test_time_augmentation
from keras_ff.readouts.layer_choice import (
    check_that_images_come,
    checked_boolean,
    checked_layers,
    chosen,
)
from keras_ff.utils import checks, keras_internals
from keras_ff.utils.average_pooling import averages, number_of_averages
from keras_ff.utils.registry import registered
from keras_ff.utils.sample_means import mean_of_samples


@registered
class Softmax(keras.layers.Layer):
    """Scores by a linear head on the layers' activities: one pass with the neutral label.

    The head is trained beside the layers by cross-entropy, on detached, length-normalised
    activities (Hinton 2022, §3.3); no gradient of it reaches a layer.

    Args:
        layers: `None`: all but the first, as Hinton does, or the only one; `"all"`; or a list of
            layer indices. Layers that have not been trained yet never count. Defaults to `None`.
        optimizer: a Keras optimizer, by name or object. Defaults to `None`: a copy of the one
            that `FFModel.compile` is given.
        kernel_regularizer: as for `keras.layers.Dense`. Defaults to `None`.
        regions: integer, into how many regions a side the positions of convolutions are divided,
            at most, of which the head sees the averages; with 1 those over the whole image.
            Defaults to `None`: it sees every activity by itself.
        standardized: boolean. Whether what the head sees is standardised besides, by moments of
            the batch in training, and by their moving averages afterwards. Defaults to `False`.
        mirrored: boolean. Whether the logits of an image and those of its mirror image, left and
            right exchanged, are averaged: a second pass, for networks that were trained on images
            mirrored at random. The head learns from images as they come. Defaults to `False`.
        shift: integer, pixels. Above 0 the logits of the image moved by that much down to the
            right, and up to the left, are averaged as well: three passes for one. Defaults to `0`.

    Raises:
        ValueError: if an index is not that of a layer, an argument is out of its range, or
            samples to be mirrored or moved have another shape than (height, width, channels).

    Example:

    >>> readout = Softmax(layers="all", kernel_regularizer=keras.regularizers.L2(1e-4))
    >>> of_convolutions = Softmax(layers=[-2, -1], regions=1, standardized=True)
    """

    chooses = False  # validation data decide nothing

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
        super().__init__(**kwargs)
        self.layers = checked_layers(layers)
        self.regions = None if regions is None else checks.whole_number(regions, "regions")
        self.standardized = checked_boolean(standardized, "standardized")
        self.mirrored = checked_boolean(mirrored, "mirrored")
        self.shift = checks.whole_number(shift, "shift", minimum=0)
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

    def build_for(self, model):
        """Create the head for a model whose FF layers are built."""
        check_that_images_come(self, model)
        features = sum(self.num_features(model))
        if self.head is not None:
            if self.head.kernel.shape != (features, model.num_classes):
                raise ValueError(
                    "The readout's head was made for another model; give every model a readout of "
                    f"its own. Received: a head of {self.head.kernel.shape[0]} features and "
                    f"{self.head.kernel.shape[1]} classes, for {features} features and "
                    f"{model.num_classes} classes"
                )
            return
        self.head = keras.layers.Dense(
            model.num_classes,
            kernel_initializer="zeros",
            kernel_regularizer=self.kernel_regularizer,
            dtype="float32",
            name="head",
        )
        self.head.build((None, features))
        if self.standardization is not None:
            self.standardization.build((None, features))
        self.built = True
        keras_internals.keep_frozen(self)

    def check_fit(self, has_validation_data):
        """Nothing to check: the head learns from the training data."""

    def begin_choice(self, model):
        """Nothing to choose: the layers are given."""

    def choose_layers(self, model):
        """Nothing to choose: the layers are given."""

    def chosen(self, model):
        """Which of a model's layers the head sees, a list of booleans."""
        return chosen(self.layers, len(model.ff_layers))

    def num_features(self, model):
        """How much the head sees of each layer, a list of integers."""
        pairs = zip(model.ff_layers, self.chosen(model), strict=True)
        return [self._num_features_of(layer) if wanted else 0 for layer, wanted in pairs]

    def _num_features_of(self, layer):
        if self.regions is None:
            return layer.num_activities
        return number_of_averages(layer.activities_shape, self.regions)

    def features(self, model, x, training=False):
        """What the head sees: float32 tensor of shape (batch, features), detached."""
        views = [x] if training else test_time_augmentation.views(x, self.mirrored, self.shift)
        # The head is linear: averaging what it sees averages its logits.
        rows = sum(self._as_they_are(model, view) for view in views) / len(views)
        if self.standardization is not None:
            rows = self.standardization(rows, training=training)
        return ops.stop_gradient(rows)

    def _as_they_are(self, model, x):
        counts = model.trained(self.chosen(model))
        activities = model.activities(model.embed(x, None))
        rows = []
        for index, width in enumerate(self.num_features(model)):
            if width:
                row = activities[index]
                if self.regions is not None:
                    row = averages(ops.cast(row, "float32"), self.regions)
                rows.append(counts[index] * self.normalization(ops.reshape(row, (-1, width))))
        return ops.concatenate(rows, axis=1)

    def scores(self, model, x):
        """Scores of a batch: the head's logits, float32 of shape (batch, num_classes)."""
        return self.head(self.features(model, x))

    def scores_and_loss(self, model, x, labels, sample_weight=None):
        """Scores of a batch, and the head's loss: cross-entropy and regularisers, a scalar."""
        return self._logits_and_loss(self.features(model, x), labels, sample_weight)

    def _logits_and_loss(self, features, labels, sample_weight):
        logits = self.head(features)
        losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        if sample_weight is not None:
            losses = losses * ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        return logits, sum(self.head.losses, mean_of_samples(losses))

    def train_step(self, model, x, labels, sample_weight=None, optimizer=None):
        """One step of the head; returns its scores and its loss of before the step."""
        optimizer = optimizer or self.optimizer
        features = self.features(model, x, training=True)

        def objective():
            logits, loss = self._logits_and_loss(features, labels, sample_weight)
            share = backends.share(ops.shape(features)[0])
            return optimizer.scale_loss(loss * share), (logits, loss)

        answers, gradients = backends.auxiliary_and_gradients(objective, self.trainable_variables)
        optimizer.apply(gradients, self.trainable_variables)
        return answers

    def get_config(self):
        layers = self.layers
        return {
            **super().get_config(),
            "layers": list(layers) if isinstance(layers, list) else layers,
            "optimizer": self.own_optimizer.get_config(),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "regions": self.regions,
            "standardized": self.standardized,
            "mirrored": self.mirrored,
            "shift": self.shift,
        }
