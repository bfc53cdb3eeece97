"""Simultaneous: every layer learns from every batch."""

from keras_ff.layer_schedules.base import LayerSchedule
from keras_ff.utils.registry import registered


@registered
class Simultaneous(LayerSchedule):
    """Every layer takes its own local step on every batch, as in Hinton's own code.

    A layer learns on what the layer before it gave before that layer's step.

    Example:

    >>> Simultaneous().learning_layers(epoch=0, epochs=6, num_layers=3)
    (0, 1, 2)
    """

    def learning_layers(self, epoch, epochs, num_layers):
        del epoch, epochs
        return tuple(range(num_layers))
