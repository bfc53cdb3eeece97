"""Alternating: overlapping pairs of layers learn together."""

from keras_ff.layer_schedules.simultaneous import Simultaneous
from keras_ff.utils.registry import registered


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
