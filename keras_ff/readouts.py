"""Readouts: how the layers' goodness or activities become one score a class."""

import numbers

import keras
from keras import ops

from keras_ff import backends, image_views, parts
from keras_ff.labelled_samples import LabelledSamples
from keras_ff.layer_optimizers import OptimizerTemplate
from keras_ff.layers.length_normalization import LengthNormalization
from keras_ff.parts import registered
from keras_ff.regions import averages, number_of_averages
from keras_ff.sample_means import mean_of_samples

ALL = "all"
VALIDATION = "validation"


def _checked_layers(layers):
    """`layers` as `"all"`, `None` or a list of indices; ValueError otherwise."""
    if layers is None or (isinstance(layers, str) and layers == ALL):
        return layers
    listed = isinstance(layers, (list, tuple)) and len(layers) > 0
    if listed and all(_is_index(index) for index in layers):
        return [int(index) for index in layers]
    raise ValueError(
        "`layers` must be 'all' or a list of layer indices, 0 the first, -1 the last. "
        f"Received: layers={layers!r}"
    )


def _is_index(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _chosen(layers, num_layers):
    """Which of `num_layers` layers count, as a list of booleans."""
    if layers == ALL:
        return [True] * num_layers
    if layers is None:
        return [index > 0 or num_layers == 1 for index in range(num_layers)]
    wrong = [index for index in layers if not -num_layers <= index < num_layers]
    if wrong:
        raise ValueError(
            f"The model has {num_layers} FF layers, 0 to {num_layers - 1}; the readout names "
            f"others. Received: layers={layers!r}"
        )
    wanted = {index % num_layers for index in layers}
    return [index in wanted for index in range(num_layers)]


def _checked_boolean(value, name):
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be a boolean. Received: {name}={value!r}")
    return value


def _check_that_images_come(readout, model):
    """Raise ValueError where samples are to be mirrored or moved that are no images."""
    for name in ("mirrored", "shift"):
        value = getattr(readout, name)
        if value and len(model.sample_shape) != 3:
            raise ValueError(
                f"readouts.{type(readout).__name__}({name}={value}) needs images, "
                "(height, width, channels). "
                f"Received: samples of shape {tuple(model.sample_shape)}"
            )


@registered
class Goodness(parts.Part):
    """Scores by goodness: one pass a class, the class's goodness summed over layers.

    `score(c) = Σ_k G_k(x with label c)` over the layers that count (Hinton 2022, §3.3). The passes
    of all classes are one batch; class groups have every class's goodness in one pass.

    Args:
        layers: `"all"`; a list of layer indices (0 the first, −1 the last); or `"validation"`:
            the unbroken run of layers with the best accuracy on `fit`'s validation data, chosen
            anew whenever these are evaluated (Sun et al. 2025). Layers that have not been
            trained yet never count. Defaults to `"all"`.
        mirrored: boolean. Whether the goodness of an image and that of its mirror image, left
            and right exchanged, are added up: a second pass, for networks that were trained on
            images mirrored at random. Defaults to `False`.
        shift: integer, pixels. Above 0 the goodness of the image moved by that much down to the
            right, and up to the left, is added as well: three passes for one. Defaults to `0`.

    Raises:
        ValueError: if an index is not that of a layer, an argument is out of its range,
            `"validation"` finds no validation data, or samples to be mirrored or moved have
            another shape than (height, width, channels).

    Example:

    >>> Goodness(layers=[1, 2]).layers
    [1, 2]
    """

    def __init__(self, layers=ALL, mirrored=False, shift=0):
        if layers is None:
            layers = ALL
        self.layers = layers if self._is_validation(layers) else _checked_layers(layers)
        self.mirrored = _checked_boolean(mirrored, "mirrored")
        self.shift = parts.whole_number(shift, "shift", minimum=0)

    @staticmethod
    def _is_validation(layers):
        return isinstance(layers, str) and layers == VALIDATION

    @property
    def chooses(self):
        """Whether validation data decide which layers count."""
        return self._is_validation(self.layers)

    def build_for(self, model):
        """Check the layer indices against the model's layers, or make room for the choice."""
        _check_that_images_come(self, model)
        if self.chooses:
            model.add_layer_choice()
        else:
            _chosen(self.layers, len(model.ff_layers))

    def check_fit(self, has_validation_data):
        """Raise ValueError where layers are to be chosen, and there is nothing to choose by."""
        if self.chooses and not has_validation_data:
            raise ValueError(
                "readouts.Goodness(layers='validation') chooses layers on validation data: call "
                "`fit(..., validation_data=...)`. Received: validation_data=None"
            )

    def scores(self, model, x):
        """Scores of a batch.

        Args:
            model: a built `FFModel` with a label embedding.
            x: tensor of shape (batch, ...), labels not embedded.

        Returns:
            float32 tensor of shape (batch, num_classes).
        """
        return self.total(model, self.of_layers(model, x))

    def of_layers(self, model, x):
        """Every layer's scores of a batch: a list of tensors of shape (batch, num_classes)."""
        return self.with_other_views(model, x, self._as_they_are(model, x))

    def with_other_views(self, model, x, goodness):
        """Every layer's scores of a batch, from those of the samples as they are.

        Args:
            model: a built `FFModel`.
            x: tensor of shape (batch, ...), labels not embedded.
            goodness: list of tensors of shape (batch, num_classes), what layers score of `x`.
        """
        _, *others = image_views.views(x, self.mirrored, self.shift)
        each = [goodness, *(self._as_they_are(model, view) for view in others)]
        return [sum(views) for views in zip(*each, strict=True)]

    @staticmethod
    def _as_they_are(model, x):
        num_classes = model.num_classes
        if model.class_groups:
            return model.goodness_of(model.activities(model.embed(x, None)))
        labels = ops.expand_dims(ops.arange(num_classes, dtype="int32"), 1)
        labels = labels + ops.zeros((1, ops.shape(x)[0]), dtype="int32")
        samples = LabelledSamples(model.label_embedding, x, labels, num_classes)
        goodness = model.goodness_of(model.activities(samples))
        return [ops.transpose(ops.reshape(each, (num_classes, -1))) for each in goodness]

    def total(self, model, goodness):
        """Goodness summed over the layers that count.

        Args:
            model: the `FFModel`.
            goodness: list of tensors of one shape, one a layer from the first on; layers missing
                at the end, because they were not computed, must be untrained.

        Returns:
            float32 tensor of that shape.
        """
        if self.chooses:
            counts = model.trained() * ops.cast(model.layer_choice, "float32")
        else:
            counts = model.trained(_chosen(self.layers, len(model.ff_layers)))
        return sum(counts[index] * of_layer for index, of_layer in enumerate(goodness))

    def judge(self, model, goodness, labels):
        """Count the hits of every run of layers on a validation batch."""
        if self.chooses:
            trained = model.trained()
            goodness = [trained[index] * each for index, each in enumerate(goodness)]
            hits = []
            for first, end in _runs(len(goodness)):
                best = ops.argmax(sum(goodness[first:end]), axis=1)
                hits.append(
                    ops.sum(ops.cast(ops.equal(best, ops.cast(labels, best.dtype)), "int32"))
                )
            model.layer_hits.assign_add(backends.total(ops.stack(hits)))

    def begin_choice(self, model):
        """Forget what was counted on other data."""
        if self.chooses:
            model.layer_hits.assign(ops.zeros(model.layer_hits.shape, dtype="int32"))

    def choose_layers(self, model):
        """Let the run of layers with most hits count from now on; of equals the longest."""
        if not self.chooses:
            return
        hits = ops.convert_to_numpy(model.layer_hits)
        trained = ops.convert_to_numpy(model.trained())
        runs = [
            (count, end - first, first)
            for count, (first, end) in zip(hits, _runs(len(trained)), strict=True)
            if trained[first:end].all()
        ]
        _, length, first = max(runs)
        model.layer_choice.assign(
            [first <= index < first + length for index in range(len(trained))]
        )

    def get_config(self):
        layers = self.layers
        layers = list(layers) if isinstance(layers, list) else layers
        return {"layers": layers, "mirrored": self.mirrored, "shift": self.shift}


def _runs(num_layers):
    """(first, end) of every unbroken run of layers."""
    return [(first, end) for first in range(num_layers) for end in range(first + 1, num_layers + 1)]


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
        self.layers = _checked_layers(layers)
        self.regions = None if regions is None else parts.whole_number(regions, "regions")
        self.standardized = _checked_boolean(standardized, "standardized")
        self.mirrored = _checked_boolean(mirrored, "mirrored")
        self.shift = parts.whole_number(shift, "shift", minimum=0)
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
        _check_that_images_come(self, model)
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
        parts.keep_frozen(self)

    def check_fit(self, has_validation_data):
        """Nothing to check: the head learns from the training data."""

    def begin_choice(self, model):
        """Nothing to choose: the layers are given."""

    def choose_layers(self, model):
        """Nothing to choose: the layers are given."""

    def chosen(self, model):
        """Which of a model's layers the head sees, a list of booleans."""
        return _chosen(self.layers, len(model.ff_layers))

    def num_features(self, model):
        """How much the head sees of each layer, a list of integers."""
        chosen = zip(model.ff_layers, self.chosen(model), strict=True)
        return [self._num_features_of(layer) if wanted else 0 for layer, wanted in chosen]

    def _num_features_of(self, layer):
        if self.regions is None:
            return layer.num_activities
        return number_of_averages(layer.activities_shape, self.regions)

    def features(self, model, x, training=False):
        """What the head sees: float32 tensor of shape (batch, features), detached."""
        views = [x] if training else image_views.views(x, self.mirrored, self.shift)
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


KNOWN = {"goodness": Goodness, "softmax": Softmax}


def get(identifier):
    """A readout by name, object or configuration; see `keras_ff.parts.get`."""
    return parts.get(identifier, (Goodness, Softmax), KNOWN, "readout")
