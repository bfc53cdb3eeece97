"""Class-group normalisation: the outputs of a layer do not show which class won."""

import keras
from keras import ops

from keras_ff import backends
from keras_ff.backends import reductions
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class ClassGroupNormalization(keras.layers.Layer):
    """Standardises every class's group of channels by itself (Sun et al. 2025, DeeperForward).

    `y = (x − mean(x)) / √(var(x) + ε)`, mean and variance of a sample over all positions and the
    channels of one class, so that no group's goodness reaches the next layer: under length
    normalisation the proportions of the classes would. Where the channels are not a multiple of
    the classes (the images themselves), the whole sample is one group. Channels that belong to no
    class, the last ones, are a group by themselves. No weights; computed in float32 under every
    dtype policy.

    Args:
        num_classes: integer of at least 1: the groups of neighbouring channels. Defaults to
            `None`: a model sets it before the layer is built.
        free: integer of at least 0, how many of the last channels belong to no class, as
            `ClassGroups(free=…)` of the layer before has them. A model sets it before the layer is
            built. Defaults to `0`.
        epsilon: float above 0. Keeps silent groups at zero. Defaults to `1e-5`.
        **kwargs: `name`, `dtype`, as for every Keras layer.

    Call arguments:
        inputs: tensor of shape (batch, ..., channels).

    Returns:
        Tensor of the same shape, in the layer's compute dtype.

    Raises:
        ValueError: if `epsilon` is not above 0 or `free` no integer; when built, if `num_classes`
            is not known, or a group would be a single activity, of which nothing would be left.

    Example:

    >>> import numpy as np
    >>> layer = ClassGroupNormalization(num_classes=2)
    >>> print(np.array(layer(np.array([[1.0, 3.0, 100.0, 300.0]]))).round(3))
    [[-1.  1. -1.  1.]]
    """

    def __init__(self, num_classes=None, epsilon=1e-5, free=0, **kwargs):
        # Images may be integers, and squares need float32.
        super().__init__(autocast=False, **kwargs)
        self.epsilon = checks.positive_number(epsilon, "epsilon")
        self.free = checks.whole_number(free, "free", minimum=0)
        # Of the channels of classes, and of free ones beside them.
        self._standardization = self._of_free = None
        self.num_classes = num_classes

    @property
    def num_classes(self):
        """The number of classes, to be set before the layer is built."""
        return self._num_classes

    @num_classes.setter
    def num_classes(self, num_classes):
        if num_classes is not None:
            num_classes = checks.whole_number(num_classes, "num_classes")
        if self.built and num_classes != self._num_classes:
            raise ValueError(
                f"Layer {self.name!r} is built for {self._num_classes} classes already. "
                f"Received: num_classes={num_classes}"
            )
        self._num_classes = num_classes

    def build(self, input_shape):
        if self.num_classes is None:
            raise ValueError(
                "A ClassGroupNormalization that stands alone must be told the number of classes, "
                "ClassGroupNormalization(num_classes=10). Received: num_classes=None"
            )
        width = input_shape[-1] - self.free
        if width <= 0:
            self._standardization = self._standardized(input_shape, 1)
            return
        groups = 1 if width % self.num_classes else self.num_classes
        self._standardization = self._standardized((*input_shape[:-1], width), groups)
        if self.free:
            self._of_free = self._standardized((*input_shape[:-1], self.free), 1)

    def _standardized(self, input_shape, groups):
        """Keras's standardisation of equal groups of channels."""
        if len(input_shape) == 2 and input_shape[-1] == groups:
            raise ValueError(
                f"A group of one unit has no spread; use a width of {2 * groups} or more. "
                f"Received: inputs of shape {tuple(input_shape)}, {groups} groups"
            )
        layer = keras.layers.GroupNormalization(
            groups, epsilon=self.epsilon, center=False, scale=False, dtype="float32"
        )
        layer.build(input_shape)
        return layer

    def call(self, inputs):
        inputs = ops.cast(inputs, "float32")
        if self._of_free is None:
            outputs = self._standardize(inputs, self._standardization)
        else:
            of_classes = self._standardize(inputs[..., : -self.free], self._standardization)
            of_free = self._standardize(inputs[..., -self.free :], self._of_free)
            outputs = ops.concatenate([of_classes, of_free], axis=-1)
        return backends.rounded(outputs, self.compute_dtype)

    def _standardize(self, inputs, standardization):
        if reductions.apply_to_groups(inputs, standardization.groups):
            return self._by_lanes(inputs, standardization.groups)
        # Outside a kernel, Keras's layer takes twice as long.
        if backends.is_fusing():
            return standardization(inputs)
        return self._channels_first(inputs, standardization.groups)

    def _by_lanes(self, inputs, groups):
        """As Keras's layer; see `keras_ff.backends.reductions`."""
        groups = reductions.ChannelGroups(inputs.shape, groups)
        x = groups.fold(inputs)
        x = x - groups.spread(groups.means(ops.mean(x, axis=1)))
        variance = groups.means(ops.mean(ops.square(x), axis=1))
        x = x * groups.spread(ops.rsqrt(variance + self.epsilon))
        return ops.reshape(x, (-1, *inputs.shape[1:]))

    def _channels_first(self, inputs, groups):
        """As Keras's layer, but moments are taken of channels, and of these then of groups."""
        centered = inputs - self._means(inputs, groups)
        return centered * ops.rsqrt(self._means(ops.square(centered), groups) + self.epsilon)

    @staticmethod
    def _means(values, groups):
        """The mean of every channel's group, of shape (batch, 1, ..., channels)."""
        positions = tuple(range(1, len(values.shape) - 1))
        of_channels = ops.mean(values, axis=positions, keepdims=True) if positions else values
        of_groups = ops.reshape(of_channels, (-1, groups, values.shape[-1] // groups))
        means = ops.broadcast_to(ops.mean(of_groups, axis=-1, keepdims=True), ops.shape(of_groups))
        return ops.reshape(means, ops.shape(of_channels))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "epsilon": self.epsilon,
            "free": self.free,
        }
