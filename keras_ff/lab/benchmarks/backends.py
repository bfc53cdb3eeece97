"""Training under JAX beside TensorFlow."""

import json
import statistics
import sys
import time

import keras

from keras_ff import models
from keras_ff.lab.benchmarks import own_process, training_step
from keras_ff.utils import extras

# Batches before the clock starts, in which the step is compiled.
WARMUPS = 3


def run(units=(2000,) * 4, batch_size=512, policy="float32", batches=30, rounds=3):
    """The row of `backends`, in samples/s of `fit`: under JAX and under TensorFlow.

    A process has one backend, so the two take turns, in `rounds` processes each.
    """
    found = {"jax": [], "tensorflow": []}
    for backend in found:
        extras.require("Benchmarks of both backends", backend, backend)
    for _ in range(rounds):
        for backend, seconds in found.items():
            seconds.append(
                own_process.result(
                    "keras_ff.lab.benchmarks.backends",
                    *(policy, batches, batch_size, *units),
                    KERAS_BACKEND=backend,
                )
            )
    jax, tensorflow = (statistics.median(seconds) for seconds in found.values())
    yield {
        "bench": "backends",
        "case": f"784-{'-'.join(map(str, units))}, batch {batch_size}, contrastive, fit",
        "dtype": policy,
        "unit": "samples/s",
        "jax": batches * batch_size / jax,
        "tensorflow": batches * batch_size / tensorflow,
        "ratio_to_tensorflow": tensorflow / jax,
    }


def seconds_of_fit(policy, batches, batch_size, *units):
    """Seconds that `batches` batches take in `fit`, under the backend of this process."""
    keras.config.set_dtype_policy(policy)
    model = models.mlp(units)
    model.compile("adam")
    model.build((None, 28, 28))
    clock = _Clock(batches)
    batch = training_step.drawn(model, batch_size)
    steps = WARMUPS + batches
    stream = (batch for _ in range(steps))
    model.fit(stream, steps_per_epoch=steps, callbacks=[clock], verbose=0)
    return clock.seconds


class _Clock(keras.callbacks.Callback):
    def __init__(self, batches):
        super().__init__()
        self.last = WARMUPS + batches - 1

    def on_train_batch_end(self, batch, logs=None):
        if batch in (WARMUPS - 1, self.last):
            float(logs["loss"])  # which is there when the step has ended
        if batch == WARMUPS - 1:
            self.start = time.perf_counter()
        elif batch == self.last:
            self.seconds = time.perf_counter() - self.start


if __name__ == "__main__":
    dtype_policy, *numbers = sys.argv[1:]
    print(json.dumps(seconds_of_fit(dtype_policy, *map(int, numbers))))
