"""Layer schedules: which layers learn in which epoch."""

import copy
import fractions
import math
import warnings

import keras

from keras_ff import parts
from keras_ff.parts import registered


class LayerSchedule(parts.Part):
    """Base of the layer schedules."""

    # FF layers that one gradient passes.
    layers_per_gradient = 1
    # Whether a layer works on what the one before it produced a step earlier.
    delayed = False
    # Whether activities of frozen layers are kept from epoch to epoch.
    caches = False
    # Whether layers have devices of their own.
    places_layers = False

    def learning_layers(self, epoch, epochs, num_layers):
        """Indices of the layers that learn in an epoch, lowest first.

        A pure function, so that a training that is interrupted and resumed with
        `initial_epoch`, or a model that is saved and loaded, goes on where it stood.

        Args:
            epoch: integer from 0, as Keras counts.
            epochs: integer, what `fit` was given: the number of the last epoch plus one.
            num_layers: integer, number of FF layers.

        Returns:
            A tuple of integers.
        """
        raise NotImplementedError

    def check(self, epochs, num_layers):
        """Raise ValueError or warn where `epochs` do not suit `num_layers`."""

    def devices_of(self, num_layers):
        """Names of the devices that the layers live on, `None` for the default one."""
        return [None] * num_layers

    def chains(self, learning_layers):
        """Which layers learn together in a step, from the last one's loss.

        Args:
            learning_layers: indices, as from `learning_layers`.

        Returns:
            A list of ways for the steps to take in turn; each is a list of chains, tuples of the
            indices of neighbouring layers, and names every layer up to the last that learns.
        """
        return [[(index,) for index in range(learning_layers[-1] + 1)]]


@registered
class Greedy(LayerSchedule):
    """One layer after the other: layer 1 learns, is frozen, then layer 2 (Hinton 2022).

    `fit(epochs=E)` runs E epochs in all. They are divided evenly among the layers, or as
    `epochs_per_layer` says.

    Args:
        epochs_per_layer: `None` (evenly), an integer for every layer, or a list with one integer
            a layer. Where `fit` runs fewer epochs in all, the later layers stay untrained until
            it goes on with `initial_epoch`; where it runs more, the last layer goes on learning.
            Defaults to `None`.
        cache: boolean. Whether what frozen layers answer is kept, instead of being computed in
            every epoch, where `fit` is given numpy arrays, negatives are labels, and it takes no
            more than 2 GiB. Defaults to `True`.

    Raises:
        ValueError: if an entry is not an integer above 0, or a list has not one entry a layer.

    Example:

    >>> Greedy().learning_layers(epoch=3, epochs=6, num_layers=3)
    (1,)
    """

    def __init__(self, epochs_per_layer=None, cache=True):
        self.caches = bool(cache)
        listed = isinstance(epochs_per_layer, (list, tuple)) and len(epochs_per_layer) > 0
        entries = epochs_per_layer if listed else [epochs_per_layer]
        if epochs_per_layer is not None:
            try:
                entries = [parts.whole_number(entry, "epochs_per_layer") for entry in entries]
            except ValueError:
                raise ValueError(
                    "`epochs_per_layer` must be None, an integer above 0 or a list of them. "
                    f"Received: epochs_per_layer={epochs_per_layer!r}"
                ) from None
        self.epochs_per_layer = entries if listed else entries[0]

    def learning_layers(self, epoch, epochs, num_layers):
        if self.epochs_per_layer is None:
            # Fewer epochs than layers: an epoch each for the first ones.
            return (min(epoch * num_layers // max(epochs, num_layers), num_layers - 1),)
        end = 0
        for layer, layer_epochs in enumerate(self._list(num_layers)):
            end += layer_epochs
            if epoch < end:
                return (layer,)
        return (num_layers - 1,)

    def check(self, epochs, num_layers):
        reached = self.learning_layers(epochs - 1, epochs, num_layers)[-1]
        if epochs > 0 and reached < num_layers - 1:
            warnings.warn(
                f"Greedy training over {epochs} epochs reaches layer {reached + 1} of "
                f"{num_layers}; the later layers stay untrained and are left out of scores. "
                "Train for more epochs, or use layer_schedule='simultaneous'.",
                stacklevel=3,
            )

    def _list(self, num_layers):
        if isinstance(self.epochs_per_layer, int):
            return [self.epochs_per_layer] * num_layers
        if len(self.epochs_per_layer) != num_layers:
            raise ValueError(
                f"`epochs_per_layer` must hold one number a layer, {num_layers} here. "
                f"Received: {len(self.epochs_per_layer)} numbers, {self.epochs_per_layer!r}"
            )
        return self.epochs_per_layer

    def get_config(self):
        entries = self.epochs_per_layer
        return {
            "epochs_per_layer": list(entries) if isinstance(entries, list) else entries,
            "cache": self.caches,
        }


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


@registered
class Alternating(Simultaneous):
    """Overlapping pairs of layers learn together, even and odd steps in turn.

    In even steps layers 1 and 2, 3 and 4, … are pairs, in odd steps 2 and 3, 4 and 5, …; a layer
    without a partner learns by itself. A pair has one loss, that of its second layer, and its
    gradient passes both: the one schedule whose gradient crosses a boundary (the alternating
    pairwise learning of Dooms et al. 2023, The Trifecta). Each layer steps with its own optimizer.

    Example:

    >>> Alternating().chains(learning_layers=(0, 1, 2, 3))
    [[(0, 1), (2, 3)], [(0,), (1, 2), (3,)]]
    """

    layers_per_gradient = 2

    def chains(self, learning_layers):
        indices = range(learning_layers[-1] + 1)
        even = [tuple(indices[start : start + 2]) for start in range(0, len(indices), 2)]
        odd = [tuple(indices[start : start + 2]) for start in range(1, len(indices), 2)]
        return [even, [(0,), *odd]]


@registered
class Pipelined(Simultaneous):
    """Every layer learns in every step, each one step behind the layer before it.

    Layer k works on what layer k−1 produced one step earlier, with the labels of that earlier
    batch, so that no layer waits for another and all could run at once on devices of their own.
    What is under way at the end of an epoch is worked off before the next begins.

    A layer sees the batches in the same order, and for each the answers of the layer before it
    as they were before that layer's own step, just as under `Simultaneous`: the weights at the
    end of an epoch are the same. Between, the later layers are some batches behind, which figures
    and metrics of a step show. A softmax readout learns from a batch when it leaves the last
    layer.

    On several devices each has a run of neighbouring layers, as equal in number as can be, with
    their weights and optimizers, and all work at the same time. In every step a batch that has
    passed the last layer is measured first; then all layers work, those of one device the last
    one first; and the first layer after all others where it asks for their scores (a metric that
    takes a pass a class, `HardLabels`). The outcome is that of one device.

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

    def get_config(self):
        return {"devices": copy.copy(self.devices)}


@registered
class Windows(LayerSchedule):
    """Overlapping windows of epochs, one a layer, in the layers' order (CwComp).

    A layer learns in its window and is frozen before and after it (Papachristodoulou et al.
    2024). The next layer starts while the one before still learns, so that neither waits long for
    the other nor settles on what will change.

    Args:
        windows: `None`, or a list with one pair a layer, the first epoch, counted from 0, and the
            end, which is not part of the window. Where `fit` runs more epochs, the last layer goes
            on learning; where it runs fewer, layers whose windows come later stay untrained.
            Defaults to `None`: windows of equal length, spread from the first epoch to the last.
        overlap: float in [0, 1), for windows that are spread evenly: the share of its length that
            a window has in common with the one before it, up to whole epochs. At 0 the layers
            learn one after the other, as under `Greedy`. Defaults to `0.5`.

    The even windows of n layers and E epochs are `w = E / (1 + (n − 1) (1 − overlap))` long and
    start at `i (1 − overlap) w`; both ends are rounded up to whole epochs. With fewer epochs than
    layers, windows last at least one epoch, and the last layers share the last ones.

    Raises:
        ValueError: if a window is not a pair of integers 0 ≤ first < end, a layer starts before
            the one below it, there are epochs in which no layer would learn, the list has not
            one window a layer, or `overlap` is out of its range.

    Example:

    >>> schedule = Windows(overlap=0.5)
    >>> [schedule.learning_layers(epoch, epochs=8, num_layers=3) for epoch in range(8)]
    [(0,), (0,), (0, 1), (0, 1), (1, 2), (1, 2), (2,), (2,)]
    """

    def __init__(self, windows=None, overlap=0.5):
        self.windows = None if windows is None else self._checked(windows)
        self.overlap = parts.share(overlap, "overlap")

    @staticmethod
    def _checked(windows):
        received = f"Received: windows={windows!r}"
        try:
            checked = [
                (parts.whole_number(first, "first", 0), parts.whole_number(end, "end"))
                for first, end in windows
            ]
        except (TypeError, ValueError):
            checked = []
        if not checked or any(first >= end for first, end in checked):
            raise ValueError(
                "`windows` must be None or a list with a pair of integers a layer, "
                f"0 ≤ first epoch < end. {received}"
            )
        reached = 0
        for layer, (first, end) in enumerate(checked):
            if layer and first < checked[layer - 1][0]:
                raise ValueError(
                    f"Layers start in their order: layer {layer + 1} cannot start in epoch "
                    f"{first}, before layer {layer}. {received}"
                )
            if first > reached:
                raise ValueError(
                    f"No layer would learn in the epochs from {reached} to {first - 1}; windows "
                    f"must leave no gap. {received}"
                )
            reached = max(reached, end)
        return checked

    def learning_layers(self, epoch, epochs, num_layers):
        windows = self._list(epochs, num_layers)
        learning = [layer for layer, (first, end) in enumerate(windows) if first <= epoch < end]
        return tuple(learning or [num_layers - 1])

    def check(self, epochs, num_layers):
        reached = sum(first < epochs for first, _ in self._list(epochs, num_layers))
        if epochs > 0 and reached < num_layers:
            warnings.warn(
                f"Windows over {epochs} epochs reach layer {reached} of {num_layers}; the later "
                "layers stay untrained and are left out of scores. Train for more epochs, or "
                "leave windows=None.",
                stacklevel=3,
            )

    def _list(self, epochs, num_layers):
        """The window of each layer, as pairs of the first epoch and the end."""
        if self.windows is None:
            # As fractions: 0.1 is one tenth, and ends that are whole epochs are met exactly.
            apart = 1 - fractions.Fraction(self.overlap).limit_denominator(10_000)
            length = max(epochs, 1) / (1 + (num_layers - 1) * apart)
            starts = [layer * apart * length for layer in range(num_layers)]
            firsts = [min(math.ceil(start), max(epochs, 1) - 1) for start in starts]
            return [
                (first, max(math.ceil(start + length), first + 1))
                for first, start in zip(firsts, starts, strict=True)
            ]
        if len(self.windows) != num_layers:
            raise ValueError(
                f"`windows` must hold one pair a layer, {num_layers} here. "
                f"Received: {len(self.windows)} windows, {self.windows!r}"
            )
        return self.windows

    def get_config(self):
        windows = None if self.windows is None else [list(window) for window in self.windows]
        return {"windows": windows, "overlap": self.overlap}


KNOWN = {
    "greedy": Greedy,
    "simultaneous": Simultaneous,
    "alternating": Alternating,
    "pipelined": Pipelined,
    "windows": Windows,
}


def get(identifier):
    """A layer schedule by name, object or configuration; see `keras_ff.parts.get`."""
    return parts.get(identifier, LayerSchedule, KNOWN, "layer schedule")
