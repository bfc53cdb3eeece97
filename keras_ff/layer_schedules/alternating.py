"""Alternating: overlapping pairs of layers learn together."""

import functools

from keras import ops

from keras_ff import backends
from keras_ff.layer_schedules.base import chain_step, learns
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

    >>> Alternating().chains(4)
    [[(0, 1), (2, 3)], [(0,), (1, 2), (3,)]]
    """

    layers_per_gradient = 2

    def chains(self, num_layers):
        """Which neighbouring layers learn together, in even steps and in odd ones."""
        indices = range(num_layers)
        even = [tuple(indices[start : start + 2]) for start in range(0, num_layers, 2)]
        odd = [tuple(indices[start : start + 2]) for start in range(1, num_layers, 2)]
        return [even, [(0,), *odd]]

    def step(self, model, batch, last=None):
        last = model.learning_layers[-1] if last is None else last
        branches = [
            functools.partial(_take, model, batch, chains) for chains in self.chains(last + 1)
        ]
        is_even = ops.equal(model.optimizer.iterations % 2, 0)
        metrics, tensors = backends.cond(is_even, branches)
        behind = batch.next(None).replace(layer=last + 1)
        return metrics, behind.with_tensors(tensors)


def _take(model, batch, chains):
    """A step of chains of layers, one chain after the other."""
    metrics = []
    for chain in chains:
        if learns(model, chain[-1]):
            of_chain, batch = chain_step(model, batch, chain)
        else:
            of_chain = []
            for index in chain:
                batch = model.stack.enter(batch, augment=True)
                of_layer, batch = model.ff_layers[index].test_step(batch)
                of_chain.append(of_layer)
        metrics.extend(of_chain)
    return metrics, batch.tensors()
