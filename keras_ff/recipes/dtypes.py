"""The dtype policy under which this machine trains fastest."""

import functools
import time

import keras
from keras import ops

from keras_ff import backends

FLOAT32, BFLOAT16 = "float32", "mixed_bfloat16"
# Rounding to bfloat16 is worth nothing less than a tenth of the time.
WORTH = 0.9
ROUNDS = 4


@functools.cache
def fastest_policy(convolutional):
    """`"mixed_bfloat16"` where this machine's products of bfloat16 are faster, else `"float32"`.

    Measured once in a process, in less than a second: a layer's output and its gradient by the
    kernel, as in a training step. Processors without products of bfloat16 take convolutions
    several times as long in it, and with them about half.

    Args:
        convolutional: boolean. Whether a convolution is measured, or a matrix product.

    Returns:
        A string, a Keras dtype policy.

    Example:

    >>> fastest_policy(convolutional=False) in ("float32", "mixed_bfloat16")
    True
    """
    seconds = {policy: _seconds(policy, convolutional) for policy in (FLOAT32, BFLOAT16)}
    return BFLOAT16 if seconds[BFLOAT16] < WORTH * seconds[FLOAT32] else FLOAT32


def _seconds(policy, convolutional):
    """The shortest time of several for a layer's output and its gradient."""
    # Named and filled with ones: nothing that counts names or draws numbers is touched.
    options = {"use_bias": False, "kernel_initializer": "ones", "dtype": policy, "name": "probe"}
    if convolutional:
        layer, shape = keras.layers.Conv2D(64, 3, padding="same", **options), (32, 16, 16, 32)
    else:
        layer, shape = keras.layers.Dense(1024, **options), (512, 1024)
    layer.build(shape)

    def output(x):
        return ops.mean(ops.cast(layer(x), "float32")), None

    def step(x):
        (mean, _), gradients = backends.value_and_grad(
            lambda: output(x), layer.trainable_variables, []
        )
        return mean, gradients

    compiled = backends.compiled(step, lambda: layer.variables)
    x = ops.ones(shape, layer.compute_dtype)
    times = []
    for _ in range(1 + ROUNDS):
        begin = time.perf_counter()
        keras.tree.map_structure(ops.convert_to_numpy, compiled(x))  # waits for them
        times.append(time.perf_counter() - begin)
    return min(times[1:])
