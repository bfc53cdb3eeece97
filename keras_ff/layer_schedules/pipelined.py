"""Pipelined: every layer works one step behind the layer before it."""

import copy
import warnings

import keras

from keras_ff.layer_schedules.pipeline import Pipeline
from keras_ff.layer_schedules.simultaneous import Simultaneous
from keras_ff.utils.registry import registered


@registered
class Pipelined(Simultaneous):
    """Every layer learns in every step, each one step behind the layer before it.

    Layer k works on what layer k−1 produced one step earlier, with the labels of that earlier
    batch, so that no layer waits for another and all could run at once on devices of their own.
    What is under way at the end of an epoch is finished before the next begins.

    A layer sees the batches in the same order, and for each the outputs of the layer before it
    as they were before that layer's own step, just as under `Simultaneous`: the weights at the
    end of an epoch are the same. Metrics count a batch, and a softmax readout learns from
    it, once it has left the last layer.

    On several devices each has a run of neighbouring layers, as equal in number as can be, with
    their weights and optimizers, and all work at the same time. In every step a batch that has
    passed the last layer is measured first; then all layers work, those of one device the last
    one first; and the first layer after all others where it needs their scores (a metric that
    takes a pass per class, `HardLabels`). The outcome is that of one device.

    Args:
        devices: `None`, or a list of device names as from `keras.distribution.list_devices()`,
            such as `["gpu:0", "gpu:1"]`. Where one of them does not exist, as when a model is
            loaded on another machine, a warning says so and the default device has all layers.
            Defaults to `None`: the default device. For TensorFlow.

    Raises:
        ValueError: if `devices` is not a list of names.

    Example:

    >>> Pipelined().learning_layers(epoch=0, epochs=6, num_layers=3)
    (0, 1, 2)
    >>> Pipelined(devices=["gpu:0", "gpu:1"]).get_config()
    {'devices': ['gpu:0', 'gpu:1']}
    """

    delayed = True

    def __init__(self, devices=None):
        if devices is not None:
            names = isinstance(devices, (list, tuple)) and all(
                isinstance(name, str) for name in devices
            )
            if not names or not devices:
                raise ValueError(
                    "`devices` must be a list of device names, such as ['gpu:0', 'gpu:1']. "
                    f"Received: devices={devices!r}"
                )
            devices = list(devices)
        self.devices = devices
        self.places_layers = devices is not None

    def devices_of(self, num_layers):
        if self.devices is None:
            return super().devices_of(num_layers)
        known = set()
        if keras.backend.backend() == "tensorflow":
            kinds = {name.split(":")[0].lower() for name in self.devices}
            known = {name for kind in kinds for name in keras.distribution.list_devices(kind)}
        missing = [name for name in self.devices if name.lower() not in known]
        if missing:
            warnings.warn(
                f"There is no device {missing[0]!r} under {keras.backend.backend()} here to place "
                f"layers on; the default one has all. Received: devices={self.devices}",
                stacklevel=2,
            )
            return super().devices_of(num_layers)
        number = len(self.devices)
        return [self.devices[index * number // num_layers] for index in range(num_layers)]

    def start(self, model):
        return Pipeline(model)

    def get_config(self):
        return {"devices": copy.copy(self.devices)}
