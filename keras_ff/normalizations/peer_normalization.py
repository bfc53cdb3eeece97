"""Peer normalisation: units that are more active than their peers are pushed back."""

import keras
from keras import ops

from keras_ff import backends
from keras_ff.backends.reductions import mean_of_samples
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class PeerNormalization(keras.layers.Layer):
    """Passes activities through and adds a penalty that keeps units equally active.

    Without it some units win every sample and others are always silent. As in Hinton's published
    Matlab code, in training a running mean of every unit j's activity follows the batches,

        m_j ← momentum · m_j + (1 − momentum) · mean_b(h_bj),

    and `weight · (mean(m) − m_j)` joins the (ascent) gradient of each of its activities: as the
    gradient of a loss,

        penalty = Σ_j weight · (m_j − mean(m)) · mean_b(h_bj),   m held constant,

    so that for activities of shape (batch, units) `∂ penalty / ∂ h_bj` is
    `weight · (m_j − mean(m)) / batch`. Units are the last axis; where there are positions, the
    means are over batch and positions, one per channel. Silent units have peers above them
    and are pushed up, even through a rectifier if its gradient passes
    (`keras_ff.activations.relu_full_grad`). It is meant for positive samples alone.

    The penalty is added with `add_loss`, as by `keras.layers.ActivityRegularization`, and so
    counts until the layer is called next. Outside training, and where the layer is not
    `trainable`, nothing is added and nothing moves.

    Args:
        weight: float above 0: strength of the penalty. Defaults to `0.03`.
        momentum: float in [0, 1): how slowly the running means follow. Defaults to `0.9`.
        initial: float: where the running means start. Defaults to `0.5`.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Call arguments:
        activities: tensor of shape (batch, ..., units).
        training: boolean. Defaults to `False`.

    Returns:
        The activities, untouched.

    Raises:
        ValueError: if `weight` is not above 0, `momentum` not in [0, 1), or `initial` not finite.

    Example:

    >>> import numpy as np
    >>> layer = PeerNormalization(weight=1.0, initial=0.0)
    >>> activities = layer(np.array([[0.0, 1.0], [0.0, 3.0]]), training=True)
    >>> print(np.array(layer.running_means))
    [0.  0.2]
    >>> [round(float(penalty), 3) for penalty in layer.losses]
    [0.2]
    """

    def __init__(self, weight=0.03, momentum=0.9, initial=0.5, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.weight = checks.positive_number(weight, "weight")
        self.momentum = checks.share(momentum, "momentum")
        self.initial = checks.finite_number(initial, "initial")
        self.supports_masking = True

    def build(self, activities_shape):
        self.running_means = self.add_weight(
            shape=(activities_shape[-1],),
            initializer=keras.initializers.Constant(self.initial),
            trainable=False,
            dtype="float32",
            autocast=False,
            name="running_means",
        )

    def call(self, activities, training=False):
        if training and self.trainable:
            h = ops.cast(activities, "float32")
            batch_means = mean_of_samples(ops.mean(h, axis=tuple(range(1, len(h.shape) - 1))))
            means = self.momentum * self.running_means
            whole = backends.all_reduce_sum(batch_means * backends.share(ops.shape(h)[0]))
            means = ops.stop_gradient(means + (1 - self.momentum) * whole)
            self.running_means.assign(means)
            # Replicas take turns: what another has added is not this one's.
            self._clear_losses()
            self.add_loss(self.weight * ops.sum((means - ops.mean(means)) * batch_means))
        return activities

    def compute_output_shape(self, activities_shape):
        return activities_shape

    def get_config(self):
        return {
            **super().get_config(),
            "weight": self.weight,
            "momentum": self.momentum,
            "initial": self.initial,
        }
