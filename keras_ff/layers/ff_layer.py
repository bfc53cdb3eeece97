"""FFLayer: a Keras layer that learns by itself, from the goodness of its activities."""

import functools
import math

import keras
from keras import ops

from keras_ff import activations, backends, goodness, losses
from keras_ff.backends.reductions import mean_of_samples
from keras_ff.layers import dropout_by_bits, layer_metrics
from keras_ff.layers.batch import Batch
from keras_ff.normalizations.class_group_normalization import ClassGroupNormalization
from keras_ff.normalizations.length_normalization import LengthNormalization
from keras_ff.optimizers.optimizer_template import OptimizerTemplate
from keras_ff.utils import checks, keras_internals, registry
from keras_ff.utils.registry import registered

NORMALIZATIONS = {
    "length": LengthNormalization,
    "centered_length": functools.partial(LengthNormalization, center=True),
    "batch": keras.layers.BatchNormalization,
    "layer": keras.layers.LayerNormalization,
    "class_groups": ClassGroupNormalization,
}

IMAGES_ARE_CHANNELS_LAST = (
    "takes images as (height, width, channels): move the channels of samples to the end, "
    "np.moveaxis(x, 1, -1), and say so, keras.config.set_image_data_format('channels_last')."
)


@registered
class FFLayer(backends.Layer, keras.layers.Layer):
    """Trains any Keras layer with a local Forward-Forward objective.

    Data flow: `inputs → normalization → transform → activation → pooling → dropout → activities`.
    Goodness is measured on the activities, the loss compares that of positive with that of
    negative samples, and the optimizer moves the layer's own variables, those of its normalisation
    included. No gradient leaves the layer.

    An activation without a useful gradient, such as `"sign"`, learns by the surrogate that its
    docstring states.

    Args:
        transform: a `keras.layers.Layer`, built by this layer. Its regularisers join the loss;
            its initialisers and constraints work as everywhere.
        activation: name, callable or `None`, applied to what the transform returns. Defaults to
            `None`: the transform's own activation is all there is.
        goodness: name or object of `keras_ff.goodness`. Defaults to `"mean_of_squares"`.
        loss: name or object of `keras_ff.losses`. Defaults to `None`: the one that
            `FFModel.compile` is given.
        optimizer: a Keras optimizer, by name or object, of which the layer uses a copy of its
            own; by the name `"muon"` it is `keras_ff.optimizers.Muon`. Defaults to `None`: a copy
            of the one that `FFModel.compile` is given.
        auxiliary: further terms of the loss, from the activities of the positive samples alone: a
            Keras layer or a list of them. One that takes labels returns its term, such as
            `keras_ff.losses.SupCon` or `keras_ff.losses.SimilarityMatching`; another adds it by
            `add_loss`, such as `keras_ff.layers.PeerNormalization` or
            `keras.layers.ActivityRegularization`. One whose `num_classes` is `None` is told the
            number of classes. Units that are free of class groups, `ClassGroups(free=…)`, learn by
            them alone. Defaults to `None`.
        normalization: what happens to the inputs first: `"length"`, `"centered_length"`,
            `"batch"`, `"layer"`, `"class_groups"`, any Keras layer, or `None`. Length
            normalisation leaves no trace of the previous layer's goodness, and that of class
            groups none of each group's; batch normalisation leaves some. Defaults to `"length"`.
        pooling: a Keras layer that pools what the activation gives, before goodness is measured,
            or `None`. Defaults to `None`.
        dropout: float in [0, 1), share of the activities dropped in training. Defaults to `0.0`.

    Call arguments:
        inputs: tensor of shape (batch, ...).
        training: boolean. Defaults to `False`.

    Returns:
        The activities, in the compute dtype, not normalised.

    Raises:
        ValueError: if the transform is not a Keras layer, a part has an unknown name, a
            parameter is out of its range, the transform or the pooling has its channels first, or
            the goodness of such activities is a constant.

    Example:

    >>> import keras, numpy as np
    >>> layer = FFLayer(keras.layers.Dense(16), activation="relu", loss="symba", optimizer="adam")
    >>> positive, negative = np.ones((4, 8)), -np.ones((4, 8))
    >>> metrics, batch = layer.train_step(np.concatenate([positive, negative]))
    >>> sorted(metrics)
    ['loss', 'negative_goodness', 'pair_accuracy', 'positive_goodness']
    >>> tuple(batch.inputs.shape)
    (8, 16)
    """

    # How many FF layers a skip connection leads around; none but in residual layers.
    span = 0
    # Whether every sample is flattened first.
    flattens = False

    def __init__(
        self,
        transform,
        activation=None,
        goodness="mean_of_squares",
        loss=None,
        optimizer=None,
        normalization="length",
        dropout=0.0,
        pooling=None,
        auxiliary=None,
        **kwargs,
    ):
        # The normalisation sees inputs as they come; the transform casts for itself.
        super().__init__(autocast=False, **kwargs)
        if isinstance(transform, dict):
            transform = keras.saving.deserialize_keras_object(transform)
        if not isinstance(transform, keras.layers.Layer) or isinstance(transform, FFLayer):
            raise ValueError(
                "`transform` must be a Keras layer that is not an FFLayer itself, for example "
                f"keras.layers.Dense(500). Received: transform={transform!r}"
            )
        self.transform = transform
        self.activation = activations.get(activation)
        self.goodness = _get_goodness(goodness)
        _check_not_constant(self.goodness, self.last_activation)
        dtype = self.dtype_policy
        known = {
            name: functools.partial(make, dtype=dtype) for name, make in NORMALIZATIONS.items()
        }
        self.normalization = registry.get(normalization, keras.layers.Layer, known, "normalization")
        self.pooling = registry.get(pooling, keras.layers.Layer, {}, "pooling")
        for part in (self.transform, self.pooling):
            _check_channels_last(part)
        self.dropout = keras.layers.Dropout(checks.share(dropout, "dropout"), dtype=dtype)
        self.auxiliary = _get_auxiliary(auxiliary)
        # The model's first layer embeds labels; an embedding that learns is among its variables.
        self.label_embedding = None
        # What the layer was given for itself; `loss` and `optimizer` are what it works with.
        self.own_loss = losses.get(loss)
        self.own_optimizer = OptimizerTemplate(optimizer)
        self.loss = None
        self.optimizer = None
        self.threshold = None
        # Set by the model; a layer that stands alone takes it from its goodness.
        self.num_classes = None
        # How many of the last channels of the inputs belong to no class; set by the model as well.
        self.free_inputs = None
        self._unit = None
        self.set_objective(self.own_loss, self.own_optimizer.copy())

    # --- shape and state -----------------------------------------------------------------

    def build(self, input_shape):
        if self.flattens:
            input_shape = (input_shape[0], math.prod(input_shape[1:]))
        if isinstance(self.normalization, ClassGroupNormalization):
            self.normalization.num_classes = self.normalization.num_classes or self._known_classes
            if self.free_inputs is not None and not self.normalization.built:
                self.normalization.free = self.free_inputs
        if isinstance(self.normalization, keras.layers.LayerNormalization) and input_shape[-1] == 1:
            raise ValueError(
                "Layer normalisation goes over the last axis, and leaves nothing of a single "
                f"channel; use 'length'. Received: inputs of shape {tuple(input_shape)} at layer "
                f"{self.name!r}"
            )
        if self.normalization is not None and not self.normalization.built:
            self.normalization.build(input_shape)
        if not self.transform.built:
            self.transform.build(input_shape)
        transformed_shape = self.transform.compute_output_shape(input_shape)
        for part in (self.activation, self.pooling):
            if isinstance(part, keras.layers.Layer) and not part.built:
                part.build(transformed_shape)
        self.activities_shape = activities_shape = self.compute_output_shape(input_shape)
        num_classes = self._known_classes
        if num_classes is not None and self.goodness.per_class:
            self.goodness.check(activities_shape, num_classes)
        if isinstance(self.goodness, keras.layers.Layer):
            self.goodness.build_for(activities_shape, num_classes)
        for term in self.auxiliary:
            if not term.built:
                if getattr(term, "num_classes", 0) is None:
                    term.num_classes = num_classes
                term.build(activities_shape)
        self._unit = self.goodness.unit(activities_shape)
        self.set_objective(self.loss, self.optimizer)
        keras_internals.keep_frozen(self)

    def compute_output_shape(self, input_shape):
        if self.flattens:
            input_shape = (input_shape[0], math.prod(input_shape[1:]))
        shape = self.transform.compute_output_shape(input_shape)
        if self.pooling is not None:
            shape = self.pooling.compute_output_shape(shape)
        return tuple(shape)

    def set_label_embedding(self, label_embedding):
        """Have the layer embed labels; the variables of an embedding that learns become its own."""
        if label_embedding.learned:
            label_embedding.trainable = label_embedding.trainable and self.trainable
        with keras_internals.unlocked(self):
            self.label_embedding = label_embedding

    def set_objective(self, loss, optimizer):
        """Give the layer the loss and the optimizer it works with.

        `FFModel.compile` calls this on every layer. Parameters left to `"auto"` are set here, on
        the scale of the layer's goodness, once the layer is built.

        Args:
            loss: object of `keras_ff.losses`, or `None`.
            optimizer: a Keras optimizer that no other layer uses, or `None`.
        """
        if loss is not None and loss.per_class != self.goodness.per_class:
            fitting = [
                name for name, known in losses.KNOWN.items() if known.per_class != loss.per_class
            ]
            raise ValueError(
                f"The loss does not fit {type(self.goodness).__name__}, which goes with "
                f"{' or '.join(map(repr, fitting))}. Received: loss={loss!r}"
            )
        self.loss = loss
        self.optimizer = optimizer
        if self._unit is None or loss is None:
            return
        self.loss = loss.on_scale(self._unit, activations.typical_alpha(self.last_activation))
        if self.loss.learns_threshold and self.threshold is None:
            initial = keras.initializers.Constant(self.loss.initial_threshold(self._unit))
            with keras_internals.unlocked(self):
                self.threshold = self.add_weight(shape=(), initializer=initial, name="threshold")
            keras_internals.keep_frozen(self)
        elif not self.loss.learns_threshold and self.threshold is not None:
            keras_internals.untrack(self, self.threshold)
            self.threshold = None

    @property
    def num_activities(self):
        """Number of activities per sample, once the layer is built."""
        return math.prod(self.activities_shape[1:])

    @property
    def _known_classes(self):
        """Number of classes by the model or the goodness; `None` where neither has it."""
        return self.num_classes or getattr(self.goodness, "num_classes", None)

    @property
    def free_units(self):
        """How many of the last units of the activities belong to no class; built layers only."""
        if not isinstance(self.goodness, goodness.ClassGroups):
            return 0
        return self.goodness.free_units(self.activities_shape[-1], self._known_classes)

    @property
    def goodness_unit(self):
        """Goodness of activities that are all one unit away from the center; built layers only."""
        return self._unit

    @property
    def last_activation(self):
        """The activation whose values goodness is measured on: the layer's or its transform's."""
        if self.activation is keras.activations.linear:
            return getattr(self.transform, "activation", None) or self.activation
        return self.activation

    @property
    def locality(self):
        """Trainable matrices that the layer's gradient passes, those behind goodness included."""
        behind = max(_matrices(part) for part in [*self.auxiliary, self.goodness])
        return _matrices(self.label_embedding) + _matrices(self.transform) + behind

    # --- forward ---------------------------------------------------------------------------

    def call(self, inputs, training=False):
        return self.activate(self.pre_activation(inputs), training)

    def pre_activation(self, inputs):
        """The transform of normalised inputs; Keras passes `training` on."""
        if self.flattens:
            inputs = ops.reshape(inputs, (-1, math.prod(inputs.shape[1:])))
        return self.transform(inputs if self.normalization is None else self.normalization(inputs))

    def activate(self, pre_activation, training=False, dropout_mask=None):
        """Activities: activation, pooling and dropout of what the transform gives.

        Args:
            pre_activation: tensor of shape (batch, ...).
            training: boolean. Defaults to `False`.
            dropout_mask: what `dropout_mask` gave for them. Defaults to `None`: drawn in training.
        """
        x = self.activation(pre_activation)
        if self.pooling is not None:
            x = self.pooling(x, **keras_internals.training_argument(self.pooling, training))
        if dropout_mask is None and training and self.dropout.rate:
            dropout_mask = self.dropout_mask(ops.shape(x))
        if dropout_mask is None:
            return x
        return dropout_by_bits.dropped(x, dropout_mask, self.dropout.rate)

    def dropout_mask(self, shape):
        """Random bits for dropout, drawn for the whole batch, of which a replica has a part."""
        rows, *others = shape
        seed = self.dropout.seed_generator.next()
        whole = (backends.all_reduce_sum(rows), *others)
        return backends.own_rows(backends.random_bits(whole, seed), rows)

    def embed(self, batch):
        """The inputs of a batch, a tensor, with the labels of its streams in them."""
        return batch.embedded(self.label_embedding, self.num_classes)

    def forward(self, batch, training=False):
        """Activities of a batch, of shape (streams · batch, ...), labels embedded first."""
        return backends.spread(self(self.embed(batch), training=training))

    def skip(self, batch):
        """What a residual layer joins to its activities; `None` for all others."""
        del batch
        return None

    def outputs(self, activities, skip=None):
        """What the next layer takes: the activities, in residual layers joined with `skip`."""
        del skip
        return activities

    def outputs_shape(self, activities_shape, skip_shape=None):
        """Shape of the outputs; raises ValueError where `skip` does not fit."""
        del skip_shape
        return tuple(activities_shape)

    # --- learning --------------------------------------------------------------------------

    @property
    def metric_names(self):
        """Names of the layer's metrics."""
        return layer_metrics.OF_CLASSES if self.goodness.per_class else layer_metrics.OF_PAIRS

    def train_step(self, batch):
        """One local step: goodness, loss, gradient of the layer's own variables, own optimizer.

        Args:
            batch: a `keras_ff.layers.Batch`, or a tensor of shape (2 · batch, ...), positives and
                then negatives.

        Returns:
            A pair. First the metrics of before the step: `loss`, a float32 scalar, the weighted
            mean of the samples' losses plus penalties; and float32 tensors of shape (batch,):
            `positive_goodness`, `negative_goodness` and `pair_accuracy` (the share of a sample's
            negatives with less goodness than the positive), or for class groups `goodness` (of
            the true class), `accuracy` (1 where the true class has most) and `class_goodness`, of
            shape (batch, num_classes). Then the batch that the next layer takes, detached.

        Raises:
            ValueError: if the layer has no loss or no optimizer.
        """
        batch = self._checked(batch)
        if self.optimizer is None:
            self._refuse("optimizer")

        def objective():
            metrics, outputs = self.objective(batch, training=True)
            return self.scaled_loss(metrics), (metrics, outputs)

        (_, (metrics, outputs)), gradients = backends.value_and_grad(
            objective, self.trainable_variables
        )
        self.optimizer.apply(gradients, self.trainable_variables)
        return metrics, batch.next(ops.stop_gradient(outputs))

    def test_step(self, batch, activities=None):
        """As `train_step`, without learning and without dropout.

        Args:
            batch: as for `train_step`.
            activities: the layer's activities of the batch, where they are known. Defaults to
                `None`.
        """
        batch = self._checked(batch)
        metrics, outputs = self.objective(batch, activities=activities)
        return metrics, batch.next(ops.stop_gradient(outputs))

    def objective(self, batch, training=False, activities=None):
        """Metrics, the loss among them, and outputs that are not detached yet.

        Args:
            batch: a `keras_ff.layers.Batch`.
            training: boolean. Defaults to `False`.
            activities: the layer's activities of the batch. Defaults to `None`: computed.
        """
        if activities is None:
            activities = self.forward(batch, training)
        count = activities.shape[0]
        if count is not None and count % batch.streams:
            raise ValueError(
                f"The {batch.streams} streams must be of one length, one after the other. "
                f"Received: activities of shape {tuple(activities.shape)}"
            )
        metrics = self.compute_loss(self.compute_goodness(activities), batch)
        # Auxiliary terms add their penalties to `losses` when they are called.
        terms = self._auxiliary_terms(activities, batch, training)
        loss = metrics["loss"]
        for penalty in [*self.losses, *terms]:
            loss = loss + ops.cast(penalty, "float32")
        return {**metrics, "loss": loss}, self.outputs(activities, self.skip(batch))

    def compute_goodness(self, activities):
        """Goodness of activities: float32, of shape (batch,), or (batch, num_classes)."""
        per_class = {"num_classes": self.num_classes} if self.goodness.per_class else {}
        return self.goodness(activities, **per_class)

    def compute_loss(self, goodness, batch):
        """Metrics of a batch whose goodness is known; its loss has no penalties in it.

        Args:
            goodness: as from `compute_goodness`, the streams one after the other.
            batch: a `keras_ff.layers.Batch`.

        Returns:
            A dictionary, as of `train_step`.
        """
        if not self.goodness.scores:
            losses = ops.zeros_like(goodness[:, 0])
            metrics = layer_metrics.of_no_classes(goodness)
        elif self.goodness.per_class:
            losses = self.loss(batch.labels, goodness)
            metrics = layer_metrics.of_classes(goodness, batch.labels)
        else:
            goodness = ops.reshape(goodness, (batch.streams, -1))
            positive, negative = goodness[0], ops.transpose(goodness[1:])
            threshold = {}
            if self.threshold is not None:
                threshold = {"threshold": ops.cast(self.threshold, "float32")}
            losses = self.loss(positive, negative, **threshold)
            metrics = layer_metrics.of_pairs(positive, negative)
        if batch.sample_weight is not None:
            losses = losses * ops.cast(ops.reshape(batch.sample_weight, (-1,)), "float32")
        return {"loss": mean_of_samples(losses), **metrics}

    def scaled_loss(self, metrics):
        """What a step differentiates: the loss, or of a batch on several replicas one's share."""
        samples = ops.shape(metrics[self.metric_names[1]])[0]
        return self.optimizer.scale_loss(metrics["loss"] * backends.share(samples))

    def _auxiliary_terms(self, activities, batch, training):
        if not self.auxiliary:
            return []
        positives = activities[: ops.shape(activities)[0] // batch.streams]
        terms = []
        for term in self.auxiliary:
            if getattr(term, "needs_labels", False):
                terms.append(term(positives, batch.labels, training=training))
            else:
                term(positives, **keras_internals.training_argument(term, training))
        return terms

    def _checked(self, batch):
        """A batch for a layer that is built and has a loss."""
        batch = Batch.of(batch)
        if self.loss is None:
            self._refuse("loss")
        if not self.built:
            self.build(tuple(batch.inputs.shape))
        return batch

    def _refuse(self, name):
        raise ValueError(
            f"Layer {self.name!r} has no {name}. Give it one, "
            f"`{type(self).__name__}(..., {name}=...)`, or compile the FFModel it belongs to. "
            f"Received: {name}=None"
        )

    # --- configuration -------------------------------------------------------------------

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "transform": serialize(self.transform),
            "activation": keras.activations.serialize(self.activation),
            "goodness": serialize(self.goodness),
            "loss": serialize(self.own_loss),
            "optimizer": self.own_optimizer.get_config(),
            "normalization": serialize(self.normalization),
            "dropout": self.dropout.rate,
            "pooling": serialize(self.pooling),
            "auxiliary": [serialize(term) for term in self.auxiliary],
        }


def _get_goodness(identifier):
    part = goodness.get(identifier)
    if part is None:
        raise ValueError("An FFLayer needs a goodness. Received: goodness=None")
    return part


def _check_not_constant(measure, activation):
    """Refuse squares of what is one or minus one, which are one whatever the inputs."""
    measured = getattr(measure, "of", measure)
    squared = isinstance(measured, (goodness.SumOfSquares, goodness.MeanOfSquares))
    if squared and not measured.center and activations.squares_are_constant(activation):
        raise ValueError(
            "The squares of this activation are the same for every input, so that goodness is a "
            "constant: give it a center, MeanOfSquares(center=-1.0), or use 'mean_activity'. "
            f"Received: activation={activation!r}, goodness={measure!r}"
        )


def _check_channels_last(part):
    """Refuse what gives channels first: goodness, classes and units are those of the last axis."""
    for layer in keras_internals.parts(part) if part is not None else []:
        first = getattr(layer, "data_format", None) == "channels_first"
        if first and not isinstance(layer, keras.layers.Flatten):
            raise ValueError(
                f"An FF layer {IMAGES_ARE_CHANNELS_LAST} "
                f"Received: {layer.name!r} with data_format='channels_first'"
            )


def _get_auxiliary(auxiliary):
    """Auxiliary terms as a list of Keras layers."""
    terms = [] if auxiliary is None else auxiliary
    terms = terms if isinstance(terms, (list, tuple)) else [terms]
    return [registry.get(term, keras.layers.Layer, {}, "auxiliary term") for term in terms]


def _matrices(part):
    """Trainable matrices that a gradient passes in a part; it may know better than to count."""
    if hasattr(part, "locality"):
        return part.locality
    weights = part.trainable_weights if isinstance(part, keras.layers.Layer) else []
    return sum(len(weight.shape) > 1 for weight in weights)
