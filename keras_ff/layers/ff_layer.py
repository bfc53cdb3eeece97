"""FFLayer: a Keras layer that learns by itself, from the goodness of what it answers."""

import contextlib
import functools
import math

import keras
from keras import ops

from keras_ff import activations, backends, goodness, losses
from keras_ff.fast import fused_step
from keras_ff.fast.fused_update import update
from keras_ff.labels.labelled_samples import embedded
from keras_ff.layers import dropout_by_bits, layer_metrics
from keras_ff.normalizations.class_group_normalization import ClassGroupNormalization
from keras_ff.normalizations.length_normalization import LengthNormalization
from keras_ff.optimizers.optimizer_template import OptimizerTemplate
from keras_ff.utils import checks, keras_internals, registry
from keras_ff.utils.registry import registered
from keras_ff.utils.sample_means import mean_of_samples

NORMALIZATIONS = {
    "length": LengthNormalization,
    "centered_length": functools.partial(LengthNormalization, center=True),
    "batch": keras.layers.BatchNormalization,
    "layer": keras.layers.LayerNormalization,
    "class_groups": ClassGroupNormalization,
}


@registered
class FFLayer(keras.layers.Layer):
    """Trains any Keras layer with a local Forward-Forward objective.

    The way of the data: `inputs → normalization → transform → activation → pooling → dropout →
    activities`.
    The goodness of the activities is the layer's figure for a sample, its loss compares positive
    with negative samples, and its optimizer moves the layer's own variables, those of its
    normalisation included. No gradient leaves the layer.

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
            own. Defaults to `None`: a copy of the one that `FFModel.compile` is given.
        auxiliary: further terms of the loss, from the activities of the positive samples alone: a
            Keras layer or a list of them. One that takes labels answers its term, such as
            `keras_ff.losses.SupCon`; another adds it by `add_loss`, such as
            `keras_ff.layers.PeerNormalization` or `keras.layers.ActivityRegularization`. Defaults
            to `None`.
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
            parameter is out of its range, or the goodness of such activities is a constant.

    Example:

    >>> import keras, numpy as np
    >>> layer = FFLayer(keras.layers.Dense(16), activation="relu", loss="symba", optimizer="adam")
    >>> positive, negative = np.ones((4, 8)), -np.ones((4, 8))
    >>> figures, activities = layer.train_step(np.concatenate([positive, negative]))
    >>> sorted(figures)
    ['loss', 'negative_goodness', 'pairs_told_apart', 'positive_goodness']
    >>> tuple(activities.shape)
    (8, 16)
    """

    # How many FF layers a shortcut leads around; none but in residual layers.
    span = 0

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
        self.dropout = keras.layers.Dropout(checks.share(dropout, "dropout"), dtype=dtype)
        self.auxiliary = _get_auxiliary(auxiliary)
        # A label embedding that learns belongs to the model's first layer.
        self.label_embedding = None
        # What the layer was given for itself; `loss` and `optimizer` are what it works with.
        self.own_loss = losses.get(loss)
        self.own_optimizer = OptimizerTemplate(optimizer)
        self.loss = None
        self.optimizer = None
        self.threshold = None
        # A model tells its layers; a layer that stands alone has it from its goodness.
        self.num_classes = None
        self._unit = None
        self.set_objective(self.own_loss, self.own_optimizer.copy())

    # --- shape and state -----------------------------------------------------------------

    def build(self, input_shape):
        if isinstance(self.normalization, ClassGroupNormalization):
            self.normalization.num_classes = self.normalization.num_classes or self._known_classes
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
                term.build(activities_shape)
        self._unit = self.goodness.unit(activities_shape)
        self.set_objective(self.loss, self.optimizer)
        keras_internals.keep_frozen(self)

    def compute_output_shape(self, input_shape):
        shape = self.transform.compute_output_shape(input_shape)
        if self.pooling is not None:
            shape = self.pooling.compute_output_shape(shape)
        return tuple(shape)

    def own_label_embedding(self, label_embedding):
        """Take a label embedding that learns among the layer's own variables."""
        label_embedding.trainable = label_embedding.trainable and self.trainable
        with self._unlocked():
            self.label_embedding = label_embedding

    @contextlib.contextmanager
    def _unlocked(self):
        """Variables and layers may come after the layer was built, as when a model is loaded."""
        locked = self._tracker.locked
        self._tracker.unlock()
        yield
        if locked:
            self._tracker.lock()

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
            with self._unlocked():
                self.threshold = self.add_weight(shape=(), initializer=initial, name="threshold")
            keras_internals.keep_frozen(self)
        elif not self.loss.learns_threshold and self.threshold is not None:
            self._untrack_variable(self.threshold)
            self.threshold = None

    @property
    def num_activities(self):
        """Number of activities a sample has, once the layer is built."""
        return math.prod(self.activities_shape[1:])

    @property
    def _known_classes(self):
        """Number of classes, as the model or the goodness tells it; `None` where neither does."""
        return self.num_classes or getattr(self.goodness, "num_classes", None)

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

    # --- forward and learning ------------------------------------------------------------

    def call(self, inputs, training=False):
        return self.respond(self.transformed(inputs, training), training)

    def transformed(self, inputs, training=False):
        """What the transform answers to inputs, or to labelled samples."""
        x = self.arranged(inputs)
        if self.normalization is not None:
            x = self.normalization(
                x, **keras_internals.training_argument(self.normalization, training)
            )
        return self.transform(x, **keras_internals.training_argument(self.transform, training))

    def respond(self, transformed, training=False, drawn=None):
        """Activities from what the transform answers; `drawn` is what `draw` gave for them."""
        x = self.activation(transformed)
        if self.pooling is not None:
            x = self.pooling(x, **keras_internals.training_argument(self.pooling, training))
        if drawn is None and training and self.dropout.rate:
            drawn = self.draw(ops.shape(x))
        return x if drawn is None else dropout_by_bits.dropped(x, drawn, self.dropout.rate)

    def draw(self, shape):
        """What dropout goes by; drawn for the whole batch, of which a replica has a part."""
        rows, *others = shape
        seed = self.dropout.seed_generator.next()
        return backends.own_rows(backends.random_bits((backends.total(rows), *others), seed), rows)

    def arranged(self, inputs):
        """Inputs in the shape that the transform takes."""
        return embedded(inputs)

    def enter(self, inputs, training=False):
        """Activities of inputs, or of labelled samples that the model's first layer is given."""
        if self.shares_product(inputs):
            return backends.spread(self.respond(self.transformed(inputs, training), training))
        return backends.spread(self(embedded(inputs), training=training))

    def shares_product(self, inputs):
        """Whether labelled samples need not be embedded for this layer."""
        del inputs
        return False

    @property
    def is_two_parts(self):
        """Whether all there is to `enter` is `transformed`, and then `respond`."""
        kind = type(self)
        standard = kind.enter is FFLayer.enter and kind.call is FFLayer.call
        return standard and self.activity_regularizer is None

    @property
    def responds_by_activation(self):
        """Whether all there is to `respond` are activation, pooling and dropout."""
        return type(self).respond is FFLayer.respond

    def hand_on(self, activities, shortcut=None):
        """What the next layer is given, from the activities; `shortcut` is for residual layers."""
        del shortcut
        return activities

    def to_join(self, activities, shortcut=None):
        """What a kernel does of `hand_on`: a list of tensors, of which `joined` makes the rest."""
        return [self.hand_on(activities, shortcut)]

    def joined(self, tensors):
        """What `hand_on` gives, from what `to_join` gave; no gradient passes."""
        (handed,) = tensors
        return handed

    def handed_shape(self, activities_shape, shortcut_shape=None):
        """Shape of what `hand_on` gives; raises ValueError where the shortcut does not fit."""
        del shortcut_shape
        return tuple(activities_shape)

    @property
    def figure_names(self):
        """Names of the figures that `measure` reports."""
        per_class = self.goodness.per_class
        return layer_metrics.COMPETITION if per_class else layer_metrics.CONTRAST

    def measure(
        self, inputs, streams=2, sample_weight=None, training=False, labels=None, shortcut=None
    ):
        """The layer's figures for a batch, without learning from it.

        Args:
            inputs: tensor of shape (streams · batch, ...): the streams one after the other along
                the batch axis, the positives first. Class groups have one stream.
            streams: integer, 1 + the number of negatives a sample. Defaults to `2`.
            sample_weight: tensor of shape (batch,) or `None`: weights of the samples' losses.
            training: boolean. Defaults to `False`.
            labels: integer tensor of shape (batch,), for class groups and auxiliary terms that
                need them.
            shortcut: tensor that a residual layer joins to its activities. Defaults to `None`:
                the layer's own inputs.

        Returns:
            A pair: a dictionary of figures and what the next layer is given, detached, of shape
            (streams · batch, ...). The figures are `loss`, a float32 scalar: the weighted mean of
            the samples' losses plus the regularisers; and float32 tensors of shape (batch,):
            `positive_goodness`, `negative_goodness` and `pairs_told_apart` (the share of a
            sample's negatives with less goodness than the positive), or for class groups
            `goodness` (of the true class) and `accuracy` (1 where the true class has most). Class
            groups add `class_goodness`, of shape (batch, num_classes).
        """
        figures, handed = self.objective(inputs, streams, sample_weight, training, labels, shortcut)
        return figures, ops.stop_gradient(handed)

    def objective(self, inputs, streams, sample_weight, training, labels, shortcut=None):
        """As `measure`, but what is handed on is not detached: for a chain under one tape."""
        self._check_objective(self.loss, "loss")
        self._clear_losses()  # as Keras does where it calls a layer; `enter` need not go that way
        activities = self.enter(inputs, training)
        count = activities.shape[0]
        if count is not None and count % streams:
            raise ValueError(
                f"The {streams} streams must be of one length, one after the other. "
                f"Received: activities of shape {tuple(activities.shape)}"
            )
        figures = self.figures_of(self.goodness_of(activities), streams, sample_weight, labels)
        loss = figures["loss"]
        # Penalties of auxiliary terms, too, stand in `losses` once those have been called.
        terms = self._auxiliary_terms(activities, streams, labels, training)
        for penalty in [*self.losses, *terms]:
            loss = loss + ops.cast(penalty, "float32")
        if self.span and shortcut is None:
            shortcut = embedded(inputs)
        return {**figures, "loss": loss}, self.hand_on(activities, shortcut)

    def goodness_of(self, activities):
        """Goodness of activities: float32, a figure a sample, or one a sample and class."""
        per_class = {"num_classes": self.num_classes} if self.goodness.per_class else {}
        return self.goodness(activities, **per_class)

    def figures_of(self, goodness, streams, sample_weight=None, labels=None):
        """The figures that goodness alone decides: as of `measure`, the loss without penalties."""
        if self.goodness.per_class:
            sample_losses, figures = layer_metrics.of_competition(self.loss, goodness, labels)
        else:
            sample_losses, figures = layer_metrics.of_contrast(
                self.loss, goodness, streams, self.threshold
            )
        if sample_weight is not None:
            weight = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
            sample_losses = sample_losses * weight
        return {"loss": mean_of_samples(sample_losses), **figures}

    def _auxiliary_terms(self, activities, streams, labels, training):
        positives = activities[: ops.shape(activities)[0] // streams]
        terms = []
        for auxiliary in self.auxiliary:
            if getattr(auxiliary, "needs_labels", False):
                terms.append(auxiliary(positives, labels, training=training))
            else:
                auxiliary(positives, **keras_internals.training_argument(auxiliary, training))
        return terms

    def train_step(
        self,
        inputs,
        streams=2,
        sample_weight=None,
        optimizer=None,
        labels=None,
        shortcut=None,
    ):
        """One local step: figures, gradient of the layer's own variables, own optimizer.

        Args:
            inputs, streams, sample_weight, labels, shortcut: as for `measure`.
            optimizer: stands in for the layer's own; a model passes one that gathers gradients
                under a loss scale. Defaults to `None`.

        Returns:
            A pair of figures, as from `measure`, and what the next layer is given, detached, as
            it was before the step.

        Raises:
            ValueError: if the layer has no loss or no optimizer.
        """
        optimizer = optimizer or self.optimizer
        self._check_objective(optimizer, "optimizer")
        if not self.built:
            self.build(tuple(inputs.shape))

        figures, handed, found = self.answer(
            inputs, streams, sample_weight, labels, shortcut, optimizer.scale_loss
        )
        self.learn(found, optimizer)
        return figures, handed

    def answer(self, inputs, streams, sample_weight, labels, shortcut, scale_loss):
        """The first half of a local step: figures, what is handed on, and what `learn` needs."""

        def objective():
            figures, handed = self.objective(inputs, streams, sample_weight, True, labels, shortcut)
            return self.to_descend(figures, scale_loss), (figures, handed)

        if fused_step.applies(self):
            figures, handed, found = fused_step.answer(
                self, inputs, streams, sample_weight, labels, shortcut, scale_loss
            )
        else:
            (figures, handed), found = backends.auxiliary_and_gradients(
                objective, self.trainable_variables
            )
        return figures, ops.stop_gradient(handed), found

    def to_descend(self, figures, scale_loss):
        """What a step differentiates: the loss, or of a batch on several replicas one's share."""
        a_sample = figures[self.figure_names[1]]
        return scale_loss(figures["loss"] * backends.share(ops.shape(a_sample)[0]))

    def learn(self, found, optimizer):
        """The second half of a local step, which the next layer need not wait for."""
        if fused_step.applies(self):
            found = fused_step.gradients(self, *found)
        update(optimizer, found, self.trainable_variables)

    def _check_objective(self, value, name):
        if value is None:
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
    """Refuse squares of what is one or minus one, which are one whatever the layer answers."""
    measured = getattr(measure, "of", measure)
    squared = isinstance(measured, (goodness.SumOfSquares, goodness.MeanOfSquares))
    if squared and not measured.center and activations.squares_are_constant(activation):
        raise ValueError(
            "The squares of this activation are the same for every input, so that goodness is a "
            "constant: give it a center, MeanOfSquares(center=-1.0), or use 'mean_activity'. "
            f"Received: activation={activation!r}, goodness={measure!r}"
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
