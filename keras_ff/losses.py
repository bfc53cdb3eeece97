"""Losses on the goodness of a layer's positive and negative samples.

Each is called `loss(positive_goodness, negative_goodness)` and returns one figure a sample. The
negative goodness has shape (batch,) or, with several negatives a sample, (batch, several); with
several, the pair losses average over them. All are computed in float32 and written with softplus
and log-sum-exp, so they neither overflow nor lose their gradient to rounding.
"""

import copy

import keras
from keras import ops

from keras_ff import parts
from keras_ff.parts import registered
from keras_ff.supervised_contrast import SupCon as SupCon  # an auxiliary term, not in KNOWN

AUTO = "auto"
LEARNED = "learned"
# Where thresholds stand that are not given, in units of goodness: about what a rectified layer
# starts with under normalised inputs, and within reach of activations bounded by one.
AUTO_THRESHOLD = 0.5


def _columns(positive_goodness, negative_goodness):
    """Positive goodness as (batch, 1) and negative goodness as (batch, several), in float32."""
    positive = ops.cast(positive_goodness, "float32")
    negative = ops.cast(negative_goodness, "float32")
    if len(negative.shape) == 1:
        negative = ops.expand_dims(negative, 1)
    return ops.expand_dims(positive, 1), negative


class FFLoss(parts.Part):
    """Base of the losses on positive and negative goodness."""

    learns_threshold = False
    # Whether the loss is one of labels and class goodness, as class groups need.
    per_class = False

    def __call__(self, positive_goodness, negative_goodness):
        raise NotImplementedError

    def for_layer(self, index, num_layers):
        """This loss as layer `index` of `num_layers` uses it: lists become that layer's value."""
        del index, num_layers
        return self

    def on_scale(self, unit):
        """This loss with `"auto"` parameters set for a goodness whose unit is `unit`."""
        del unit
        return self


@registered
class Logistic(FFLoss):
    """Logistic loss about a threshold, with a margin on both sides.

    `loss = softplus(θ + ε − G⁺) + softplus(G⁻ − θ + ε)` with threshold θ and margin ε
    (Hinton 2022, eq. 1; the margin after Li and Chen, §A.4, signed so that it pushes positives
    above θ + ε and negatives below θ − ε).

    Args:
        threshold: a number; a list with one number a layer; `"auto"`: half a unit of the goodness
            (0.5 for means of squares, half the number of units for sums), the default; or
            `"learned"`: starts there and is trained with the layer by the layer's own optimizer.
        margin: number ≥ 0, in units of goodness, or a list with one number a layer. Defaults
            to `0.0`.

    Call arguments:
        positive_goodness: tensor of shape (batch,).
        negative_goodness: tensor of shape (batch,) or (batch, several).
        threshold: scalar tensor to use in place of the configured threshold; a layer passes its
            learned one here.

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if a parameter is not finite, a margin is negative, or a list does not hold
            one number a layer.

    Example:

    >>> import numpy as np
    >>> loss = Logistic(threshold=2.0)
    >>> value = loss(np.array([2.0]), np.array([2.0]))  # both at the threshold: 2 · log 2
    >>> print(np.round(np.array(value), 4))
    [1.3863]
    """

    def __init__(self, threshold=AUTO, margin=0.0):
        if not isinstance(threshold, str):
            threshold = self._numbers(threshold, "threshold")
        elif threshold not in (AUTO, LEARNED):
            raise ValueError(
                "`threshold` must be a number, a list of one number a layer, 'auto' or "
                f"'learned'. {parts.nearest(threshold, [AUTO, LEARNED])} "
                f"Received: threshold={threshold!r}"
            )
        self.threshold = threshold
        self.margin = self._numbers(margin, "margin")
        margins = self.margin if isinstance(self.margin, list) else [self.margin]
        if min(margins, default=0) < 0:
            raise ValueError(f"`margin` must not be negative. Received: margin={margin!r}")

    @staticmethod
    def _numbers(value, name):
        if isinstance(value, (list, tuple)):
            return [parts.finite_number(item, name) for item in value]
        return parts.finite_number(value, name)

    @property
    def learns_threshold(self):
        return self.threshold == LEARNED

    def initial_threshold(self, unit=1.0):
        """The threshold as a number; `"auto"` and `"learned"` start at half a `unit`."""
        return AUTO_THRESHOLD * unit if isinstance(self.threshold, str) else self.threshold

    def __call__(self, positive_goodness, negative_goodness, threshold=None):
        for name, value in (("threshold", self.threshold), ("margin", self.margin)):
            if isinstance(value, list):
                raise ValueError(
                    f"`{name}` holds one number a layer; call `for_layer(index, num_layers)` "
                    f"first. Received: {name}={value!r}"
                )
        positive, negative = _columns(positive_goodness, negative_goodness)
        if threshold is None:
            threshold = self.initial_threshold()
        pull = ops.softplus(threshold + self.margin - positive[:, 0])
        push = ops.mean(ops.softplus(negative - threshold + self.margin), axis=1)
        return pull + push

    def for_layer(self, index, num_layers):
        chosen = {}
        for name in ("threshold", "margin"):
            value = getattr(self, name)
            if isinstance(value, list):
                if len(value) != num_layers:
                    raise ValueError(
                        f"A list for `{name}` must hold one number a layer, {num_layers} here. "
                        f"Received: {len(value)} numbers, {name}={value!r}"
                    )
                value = value[index]
            chosen[name] = value
        return Logistic(**chosen)

    def on_scale(self, unit):
        if self.threshold != AUTO:
            return self
        return Logistic(threshold=self.initial_threshold(unit), margin=self.margin)

    def get_config(self):
        # Copies: Keras wraps lists that it saves, and a caller's list must stay the caller's.
        return {"threshold": copy.copy(self.threshold), "margin": copy.copy(self.margin)}


class _ScaledDifference(FFLoss):
    """Base of the losses on `alpha` times a difference of goodness."""

    # What trained best for rectified activations under means of squares (16 to 32 are alike).
    typical_alpha = 16.0

    def __init__(self, alpha=AUTO):
        if not (isinstance(alpha, str) and alpha == AUTO):
            alpha = parts.positive_number(alpha, "alpha")
        self.alpha = alpha

    def on_scale(self, unit):
        if self.alpha != AUTO:
            return self
        return type(self)(alpha=self.typical_alpha / unit)

    def _differences(self, positive_goodness, negative_goodness):
        positive, negative = _columns(positive_goodness, negative_goodness)
        alpha = self.typical_alpha if self.alpha == AUTO else self.alpha
        return alpha * (negative - positive)

    def get_config(self):
        return {"alpha": self.alpha}


@registered
class SymBa(_ScaledDifference):
    """Loss on the difference of a pair: `softplus(−α (G⁺ − G⁻))` (Lee and Song 2023).

    No threshold: only the distance between the two streams counts. With alpha 1 on sums of
    squares it is the softmax over the pair, −log(e^G⁺ / (e^G⁺ + e^G⁻)), that Tantravahi et al.
    use; on means of squares the same loss has alpha equal to the number of units.

    Args:
        alpha: float above 0, the steepness, in units of one over goodness; or `"auto"`, the
            default: 16 divided by the unit of the layer's goodness, which is 16 for means of
            squares. The published 4 is slow on means of squares.

    Call arguments:
        positive_goodness: tensor of shape (batch,).
        negative_goodness: tensor of shape (batch,) or (batch, several).

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if `alpha` is not above 0.

    Example:

    >>> import numpy as np
    >>> loss = SymBa(alpha=4.0)
    >>> print(np.round(np.array(loss(np.array([1.0]), np.array([1.0]))), 4))  # log 2
    [0.6931]
    """

    def __call__(self, positive_goodness, negative_goodness):
        differences = self._differences(positive_goodness, negative_goodness)
        return ops.mean(ops.softplus(differences), axis=1)


@registered
class LabelSoftmax(_ScaledDifference):
    """Softmax over the positive and all negatives: `−log softmax(α [G⁺, G⁻₁ … G⁻ₘ])₀`.

    The cross-entropy of picking the true label among the labels drawn. With one negative it is
    `SymBa`; with every wrong label as a negative it is the full cross-entropy over classes.

    Args:
        alpha: float above 0, in units of one over goodness; or `"auto"`, the default: 16 divided
            by the unit of the layer's goodness.

    Call arguments:
        positive_goodness: tensor of shape (batch,).
        negative_goodness: tensor of shape (batch,) or (batch, several).

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if `alpha` is not above 0.

    Example:

    >>> import numpy as np
    >>> loss = LabelSoftmax(alpha=1.0)
    >>> value = loss(np.array([1.0]), np.array([[1.0, 1.0]]))  # log 3
    >>> print(np.round(np.array(value), 4))
    [1.0986]
    """

    def __call__(self, positive_goodness, negative_goodness):
        differences = self._differences(positive_goodness, negative_goodness)
        # log(1 + Σ exp d) = softplus(log Σ exp d): the 1 is the positive's own term.
        return ops.softplus(ops.logsumexp(differences, axis=1))


@registered
class ClassLoss(FFLoss):
    """A Keras loss on the class goodness of `ClassGroups`: the cross-entropy of the true class.

    `loss = −log softmax(G)_label`. `compile` and `FFLayer` put the Keras loss, or its name, in one
    of these.

    Args:
        loss: a `keras.losses.SparseCategoricalCrossentropy` with `from_logits=True`, or `None`
            for a plain one.

    Call arguments:
        labels: integer tensor of shape (batch,).
        class_goodness: tensor of shape (batch, num_classes).

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if the loss is another, or does not expect logits.

    Example:

    >>> import numpy as np
    >>> loss = ClassLoss()
    >>> value = loss(np.array([1]), np.array([[1.0, 1.0]], "float32"))  # log 2
    >>> print(np.round(np.array(value), 4))
    [0.6931]
    """

    per_class = True

    def __init__(self, loss=None):
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        if isinstance(loss, dict):
            loss = keras.saving.deserialize_keras_object(loss)
        fits = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
        if not fits or not loss.get_config()["from_logits"]:
            raise ValueError(
                "Class groups give logits, and labels are integers: use "
                "keras.losses.SparseCategoricalCrossentropy(from_logits=True). "
                f"Received: {loss!r}"
            )
        self.loss = loss

    def __call__(self, labels, class_goodness):
        return self.loss.call(labels, ops.cast(class_goodness, "float32"))

    def get_config(self):
        return {"loss": keras.saving.serialize_keras_object(self.loss)}


KNOWN = {
    "logistic": Logistic,
    "symba": SymBa,
    "label_softmax": LabelSoftmax,
    "sparse_categorical_crossentropy": ClassLoss,
}


def get(identifier):
    """A loss by name, object or configuration; see `keras_ff.parts.get`."""
    if isinstance(identifier, keras.losses.SparseCategoricalCrossentropy):
        return ClassLoss(identifier)
    return parts.get(identifier, FFLoss, KNOWN, "loss")
