"""Windows: layers learn in overlapping windows of epochs."""

import fractions
import functools
import math

from keras_ff.layer_schedules.base import LayerSchedule
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class Windows(LayerSchedule):
    """Overlapping windows of epochs, one per layer, in the layers' order (CwComp).

    A layer learns in its window and is frozen before and after it (Papachristodoulou et al.
    2024). The next layer starts while the one before still learns, so that neither waits long for
    the other nor settles on what will change.

    Args:
        windows: `None`, or a list with one pair per layer, the first epoch, counted from 0, and the
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
            one window per layer, or `overlap` is out of its range.

    Example:

    >>> schedule = Windows(overlap=0.5)
    >>> [schedule.learning_layers(epoch, epochs=8, num_layers=3) for epoch in range(8)]
    [(0,), (0,), (0, 1), (0, 1), (1, 2), (1, 2), (2,), (2,)]
    """

    def __init__(self, windows=None, overlap=0.5):
        self.windows = None if windows is None else self._checked(windows)
        self.overlap = checks.share(overlap, "overlap")

    @staticmethod
    def _checked(windows):
        received = f"Received: windows={windows!r}"
        try:
            checked = [
                (checks.whole_number(first, "first", 0), checks.whole_number(end, "end"))
                for first, end in windows
            ]
        except (TypeError, ValueError):
            checked = []
        if not checked or any(first >= end for first, end in checked):
            raise ValueError(
                "`windows` must be None or a list with a pair of integers per layer, "
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

    @property
    def divides_epochs(self):
        return self.windows is None

    def learning_layers(self, epoch, epochs, num_layers):
        windows = self._list(epochs, num_layers)
        learning = [layer for layer, (first, end) in enumerate(windows) if first <= epoch < end]
        return tuple(learning or [num_layers - 1])

    def _list(self, epochs, num_layers):
        """The window of each layer, as pairs of the first epoch and the end."""
        if self.windows is None:
            return _evenly(max(epochs, 1), num_layers, self.overlap)
        if len(self.windows) != num_layers:
            raise ValueError(
                f"`windows` must hold one pair per layer, {num_layers} here. "
                f"Received: {len(self.windows)} windows, {self.windows!r}"
            )
        return self.windows

    def get_config(self):
        windows = None if self.windows is None else [list(window) for window in self.windows]
        return {"windows": windows, "overlap": self.overlap}


@functools.cache  # asked for every epoch
def _evenly(epochs, num_layers, overlap):
    # As fractions: 0.1 is one tenth, and ends that are whole epochs are met exactly.
    apart = 1 - fractions.Fraction(overlap).limit_denominator(10_000)
    length = epochs / (1 + (num_layers - 1) * apart)
    starts = [layer * apart * length for layer in range(num_layers)]
    firsts = [min(math.ceil(start), epochs - 1) for start in starts]
    return [
        (first, max(math.ceil(start + length), first + 1))
        for first, start in zip(firsts, starts, strict=True)
    ]
