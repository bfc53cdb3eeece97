"""How fast: each benchmark compares sides that take turns.

`keras-ff bench NAME` runs one and prints its table. A benchmark is a module with a function `run`
that yields rows, dictionaries as from `side_by_side.row`, as they are measured.
"""

import importlib

import keras

# What each compares, by name.
BENCHES = {
    "step": "a training step of dense layers, beside backpropagation and the least possible",
    "conv": "a training step of a residual network of class groups, beside the same",
    "fit": "fit from a dataset of TFDS with augmentation, beside the bare training step",
    "callbacks": "fit with FFTensorBoard at its default frequencies, beside fit without it",
    "predict": "scores by every readout, beside the plain network and the least possible",
    "memory": "peak memory against depth, beside backpropagation",
    "pipeline": "layers on devices of their own, beside one device",
    "backends": "fit under JAX, beside TensorFlow",
    "system": "time, processor, memory and power of a training, beside backpropagation",
    "accuracy": "seconds to an accuracy, greedy, simultaneous and as class groups, beside the same",
    "start": "keras-ff train from start to end, beside a plain Keras script by backpropagation",
}
OF_TENSORFLOW = ("step", "conv", "fit", "predict", "memory", "pipeline")


def run(name, **arguments):
    """Rows of one of `BENCHES`, one by one; `arguments` are those of its `run`."""
    if name not in BENCHES:
        names = ", ".join(map(repr, BENCHES))
        raise ValueError(f"There are the benchmarks {names}. Received: {name!r}")
    if name in OF_TENSORFLOW and keras.backend.backend() != "tensorflow":
        others = ", ".join(other for other in BENCHES if other not in OF_TENSORFLOW)
        raise ValueError(
            f"The benchmark {name!r} times TensorFlow's own steps and products: set "
            f"KERAS_BACKEND=tensorflow. Under every backend there are {others}. "
            f"Received: backend {keras.backend.backend()!r}"
        )
    return importlib.import_module(f"keras_ff.lab.benchmarks.{name}").run(**arguments)
