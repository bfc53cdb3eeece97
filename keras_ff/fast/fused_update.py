"""Gradients applied in one compiled kernel."""

import math

import keras
from keras import ops

from keras_ff import backends

# Below, a compiled update saves less than it takes to compile.
LEAST_WEIGHTS = 10_000


def update(optimizer, gradients, variables):
    """Apply gradients; where there are many weights, in one compiled kernel.

    Keras's Adam reads and writes memory operation by operation, which takes 11 ms for 2000 × 2000
    weights; compiled it takes 4.
    """

    def apply(*gradients):
        given = [
            None if gradient is None else ops.cast(gradient, variable.dtype)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        optimizer.apply(given, variables)

    many = sum(math.prod(variable.shape) for variable in variables) >= LEAST_WEIGHTS
    plain = not isinstance(optimizer, keras.optimizers.Optimizer) or not optimizer.built
    if plain or not many or not backends.can_fuse(gradients):
        with backends.updating(optimizer):
            apply(*gradients)
    else:
        backends.fused(apply)(*gradients)
