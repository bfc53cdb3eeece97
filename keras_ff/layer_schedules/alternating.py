"""Alternating: overlapping pairs of layers learn together."""

import functools
import itertools

from keras import ops

from keras_ff import backends
from keras_ff.layer_schedules.base import learns
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
            of_chain, batch = _chain_step(model, batch, chain)
        else:
            of_chain = []
            for index in chain:
                batch = model.stack.enter(batch)
                of_layer, batch = model.ff_layers[index].test_step(batch)
                of_chain.append(of_layer)
        metrics.extend(of_chain)
    return metrics, batch.tensors()


def _chain_step(model, batch, chain):
    """A local step of neighbouring layers by the loss of the last one."""
    layers = [model.ff_layers[index] for index in chain]
    variables = [
        layer.trainable_variables if learns(model, index) else []
        for index, layer in zip(chain, layers, strict=True)
    ]

    def objective():
        # What is traced for a gradient must not stay behind.
        passed, metrics = batch, []
        for layer in layers:
            passed = model.stack.enter(passed, training=True)
            of_layer, outputs = layer.objective(passed, training=True)
            passed = passed.next(outputs)
            metrics.append(of_layer)
        return layers[-1].scaled_loss(metrics[-1]), (metrics, passed.tensors())

    (_, (metrics, tensors)), gradients = backends.value_and_grad(
        objective, [variable for of_layer in variables for variable in of_layer]
    )
    for layer, of_layer in zip(layers, variables, strict=True):
        own, gradients = gradients[: len(of_layer)], gradients[len(of_layer) :]
        if layer is not layers[-1]:
            # What belongs to its own objective has no part in that of the chain's last layer.
            has_part = [gradient is not None for gradient in own]
            own = list(itertools.compress(own, has_part))
            of_layer = list(itertools.compress(of_layer, has_part))
        layer.optimizer.apply(own, of_layer)
    behind = batch.next(None).replace(layer=batch.layer + len(chain)).with_tensors(tensors)
    return metrics, behind.replace(inputs=ops.stop_gradient(behind.inputs))
