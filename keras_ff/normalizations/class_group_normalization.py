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
    the classes (the images themselves), the whole sample is one group. No weights; computed in
    float32 under every dtype policy.

    Args:
        num_classes: integer of at least 1: the groups of neighbouring channels. Defaults to
            `None`: a model sets it before the layer is built.
        epsilon: float above 0. Keeps silent groups at zero. Defaults to `1e-5`.
        **kwargs: `name`, `dtype`, as for every Keras layer.

    Call arguments:
        inputs: tensor of shape (batch, ..., channels).

    Returns:
        Tensor of the same shape, in the layer's compute dtype.

    Raises:
        ValueError: if `epsilon` is not above 0; when built, if `num_classes` is not known, or a
            group would be a single activity, of which nothing would be left.

    Example:

    >>> import numpy as np
    >>> layer = ClassGroupNormalization(num_classes=2)
    >>> print(np.array(layer(np.array([[1.0, 3.0, 100.0, 300.0]]))).round(3))
    [[-1.  1. -1.  1.]]
    """

    def __init__(self, num_classes=None, epsilon=1e-5, **kwargs):
        # Images may be integers, and squares need float32.
        super().__init__(autocast=False, **kwargs)
        self.epsilon = checks.positive_number(epsilon, "epsilon")
        self._standardization = None
        self.num_classes = num_classes

    @property
    def num_classes(self):
        """The number of classes, to be set before the layer is built."""
        return self._num_classes

    @num_classes.setter
    def num_classes(self, num_classes):
        if num_classes is not None:
            num_classes = checks.whole_number(num_classes, "num_classes")
        if self._standardization is not None and num_classes != self._num_classes:
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
        width = input_shape[-1]
        groups = 1 if width % self.num_classes else self.num_classes
        if len(input_shape) == 2 and width == groups:
            raise ValueError(
                f"A group of one unit has no spread; use a width of {2 * groups} or more. "
                f"Received: inputs of shape {tuple(input_shape)}, {groups} groups"
            )
        self._standardization = keras.layers.GroupNormalization(
            groups, epsilon=self.epsilon, center=False, scale=False, dtype="float32"
        )
        self._standardization.build(input_shape)

    def call(self, inputs):
        inputs = ops.cast(inputs, "float32")
        if reductions.apply_to_groups(inputs, self._standardization.groups):
            way = self._by_lanes
        else:
            # Outside a kernel, Keras's layer takes twice as long.
            way = self._standardization if backends.is_fusing() else self._channels_first
        return backends.rounded(way(inputs), self.compute_dtype)

    def _by_lanes(self, inputs):
        """As `_standardization`; see `keras_ff.backends.reductions`."""
        groups = reductions.ChannelGroups(inputs.shape, self._standardization.groups)
        x = groups.fold(inputs)
        x = x - groups.spread(groups.means(ops.mean(x, axis=1)))
        variance = groups.means(ops.mean(ops.square(x), axis=1))
        x = x * groups.spread(ops.rsqrt(variance + self.epsilon))
        return ops.reshape(x, (-1, *inputs.shape[1:]))

    def _channels_first(self, inputs):
        """As `_standardization`, but moments are taken of channels, and of these then of groups."""
        centered = inputs - self._means(inputs)
        return centered * ops.rsqrt(self._means(ops.square(centered)) + self.epsilon)

    def _means(self, values):
        """The mean of every channel's group, of shape (batch, 1, ..., channels)."""
        positions = tuple(range(1, len(values.shape) - 1))
        of_channels = ops.mean(values, axis=positions, keepdims=True) if positions else values
        groups = self._standardization.groups
        of_groups = ops.reshape(of_channels, (-1, groups, values.shape[-1] // groups))
        means = ops.broadcast_to(ops.mean(of_groups, axis=-1, keepdims=True), ops.shape(of_groups))
        return ops.reshape(means, ops.shape(of_channels))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes, "epsilon": self.epsilon}
