"""SupCon: brings activities of one class together, away from those of other classes."""

import keras
from keras import ops

from keras_ff import backends
from keras_ff.losses.terms import one_label_per_sample, unit_length
from keras_ff.utils import average_pooling, checks, keras_internals
from keras_ff.utils.registry import registered

# The similarity of a sample to itself is put so far down that no exponential of it is left.
NOWHERE = -1e30
# Schedules may begin or end with 0, by which nothing can be divided.
LEAST_TEMPERATURE = 0.01


@registered
class SupCon(keras.layers.Layer):
    """Supervised contrastive term of a layer, beside its loss on goodness.

    Every sample of a batch is compared with all others; those of its class are its positives:

    `L = weight · mean_i [ −1/|P(i)| Σ_{p ∈ P(i)} log( e^(z_i·z_p/τ) / Σ_{a ≠ i} e^(z_i·z_a/τ) ) ]`

    (Khosla et al. 2020, L_out), where P(i) are the other samples with i's label, and the mean is
    over the samples that have any; a batch without a pair gives 0. As in HCL-FF,
    `z = L2(BatchNormalization(Dense(units)(pooled)))`, where `pooled` are the
    activities after average pooling to regions of an image, or as they are where they have no
    positions. The head learns with the layer that the term belongs to. A sample whose z is zero
    has no direction: it is similar to nothing and gets no gradient. All is computed in float32.

    Args:
        units: integer, width of the head, or `None` for no head, `z = L2(pooled)`. Defaults to
            `128`.
        regions: integer, average pooling to at most this many regions per side (a side of 7 is
            divided into 4 of 2, 2, 2 and 1, or into 7). 1 is global average pooling; with more the
            head also sees where a channel is active. Defaults to `1`.
        temperature: float above 0, τ; or a `keras.optimizers.schedules.LearningRateSchedule` of
            the training steps taken, which the weight `steps` counts, and of which nothing below
            0.01 is taken. Defaults to `0.1`.
        weight: float above 0, multiplies the term. Defaults to `1.0`.

    HCL-FF's temperature, from 0.8 to 0.2 over the first 5 % of the steps and on to 0.1 by a
    cosine, is `keras.optimizers.schedules.CosineDecay(initial_learning_rate=0.8,
    warmup_target=0.2, warmup_steps=0.05 * steps, decay_steps=0.95 * steps, alpha=0.5)`, alpha
    being the share of 0.2 that is left in the end.

    Call arguments:
        activities: tensor of shape (batch, units) or (batch, ..., channels), any float dtype.
        labels: integer tensor of shape (batch,).
        training: boolean. Whether the head's batch normalisation takes the batch's statistics,
            and the step counts. Defaults to `False`.

    Returns:
        float32 scalar tensor.

    Raises:
        ValueError: if an argument is out of its range, or there is not one label per sample.

    Example:

    >>> import numpy as np
    >>> term = SupCon(units=None, temperature=1.0)
    >>> activities = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    >>> value = term(activities, np.array([0, 0, 1]))  # −log(e¹ / (e¹ + e⁰))
    >>> print(np.round(np.array(value), 4))
    0.3133
    """

    # Tells the layer to pass labels.
    needs_labels = True

    def __init__(self, units=128, temperature=0.1, weight=1.0, regions=1, **kwargs):
        # Activities come as they are, and are cast here, whatever the dtype policy.
        super().__init__(autocast=False, **kwargs)
        self.units = None if units is None else checks.whole_number(units, "units")
        self.regions = checks.whole_number(regions, "regions")
        self.temperature = _temperature(temperature)
        self.weight = checks.positive_number(weight, "weight")
        self.head = self.normalization = self.steps = None
        if self.units is not None:
            # Without a bias, which the normalisation would subtract again.
            self.head = keras.layers.Dense(self.units, use_bias=False, dtype="float32", name="head")
            self.normalization = keras.layers.BatchNormalization(
                dtype="float32", name="normalization"
            )

    def build(self, activities_shape):
        """Create the head for activities of `activities_shape`; the batch axis is ignored."""
        if self.head is not None:
            self.head.build(
                (None, average_pooling.number_of_features(activities_shape, self.regions))
            )
            self.normalization.build((None, self.units))
        if not isinstance(self.temperature, float):
            self.steps = self.add_weight(
                shape=(), dtype="int32", initializer="zeros", trainable=False, name="steps"
            )
        keras_internals.keep_frozen(self)

    @property
    def locality(self):
        """Trainable matrices that the gradient passes in the head: 1, or 0 without one."""
        return 0 if self.head is None else 1

    def call(self, activities, labels, training=False):
        directions = self.project(activities, training=training)
        labels = one_label_per_sample(labels, activities)
        directions, labels = backends.all_gather(directions), backends.all_gather(labels)
        itself = ops.eye(ops.shape(directions)[0], dtype="bool")
        same_class = ops.equal(ops.expand_dims(labels, 0), ops.expand_dims(labels, 1))
        positives = ops.cast(ops.logical_and(same_class, ops.logical_not(itself)), "float32")
        similarity = ops.matmul(directions, ops.transpose(directions)) / self._take_step(training)
        others = ops.where(itself, NOWHERE, similarity)
        log_share = similarity - ops.logsumexp(others, axis=1, keepdims=True)
        count = ops.sum(positives, axis=1)
        sample_losses = -ops.sum(positives * log_share, axis=1) / ops.maximum(count, 1.0)
        samples = ops.sum(ops.cast(count > 0, "float32"))
        return self.weight * ops.sum(sample_losses) / ops.maximum(samples, 1.0)

    def project(self, activities, training=False):
        """The directions z that are compared.

        Args:
            activities: tensor of shape (batch, units) or (batch, ..., channels).
            training: boolean, as in a call. Defaults to `False`.

        Returns:
            float32 tensor of shape (batch, units of the head or regions · channels), each row of
            length 1, or 0 where there is no direction.
        """
        z = average_pooling.pooled(ops.cast(activities, "float32"), self.regions)
        if self.head is not None:
            z = self.normalization(self.head(z), training=training)
        return unit_length(z)

    def _take_step(self, training):
        """The temperature of this step; a training step counts."""
        if self.steps is None:
            return self.temperature
        temperature = self.temperature(ops.convert_to_tensor(self.steps))
        if training:
            self.steps.assign_add(1)
        return ops.maximum(ops.cast(temperature, "float32"), LEAST_TEMPERATURE)

    def get_config(self):
        temperature = self.temperature
        if not isinstance(temperature, float):
            temperature = keras.saving.serialize_keras_object(temperature)
        return {
            **super().get_config(),
            "units": self.units,
            "temperature": temperature,
            "weight": self.weight,
            "regions": self.regions,
        }


def _temperature(value):
    """`value` as a float above 0 or a schedule, or a ValueError."""
    if isinstance(value, dict):
        value = keras.saving.deserialize_keras_object(value)
    if isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        return value
    try:
        return checks.positive_number(value, "temperature")
    except ValueError:
        raise ValueError(
            "`temperature` must be a number above 0 or a "
            "keras.optimizers.schedules.LearningRateSchedule. "
            f"Received: temperature={value!r}"
        ) from None
