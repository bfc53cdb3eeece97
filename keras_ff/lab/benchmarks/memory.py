"""Peak memory of training against depth: the slope, in MiB per layer."""

import json
import pathlib
import sys

import keras
import numpy as np

from keras_ff import FFModel
from keras_ff.lab.benchmarks import own_process, training_step
from keras_ff.layers import FFConv2D

MIB = 2**20
# The classes divide the channels.
CLASSES = 8


def run(depths=(4, 8, 16, 32), image_size=32, channels=64, batch_size=128, policy="mixed_bfloat16"):
    """The row of `memory`: MiB per layer by Forward-Forward and by backpropagation.

    Every depth is measured in a process of its own: its peak resident memory over three steps,
    less the weights and the optimizers' slots. The compiled program grows with depth as well; a
    batch of a single sample shows how much, and `activities_ours` and `activities_backprop` are
    the slopes of what the whole batch takes beyond that.
    """

    if sys.platform == "win32":
        raise ValueError(
            "The benchmark 'memory' reads the peak memory of a process as Linux and macOS tell it. "
            f"Received: platform {sys.platform!r}"
        )

    def slopes(method):
        peaks = [
            [_in_own_process(method, depth, image_size, channels, size, policy) for depth in depths]
            for size in (batch_size, 1)
        ]
        beyond = np.subtract(*peaks)
        return [float(np.polyfit(depths, found, 1)[0]) for found in (peaks[0], beyond)], peaks[0]

    (ours, activities_ours), peaks_ours = slopes("ours")
    (backprop, activities_backprop), peaks_backprop = slopes("backprop")
    yield {
        "bench": "memory",
        "case": f"conv 3×3, {image_size}²×{channels}, batch {batch_size}, depths {list(depths)}",
        "dtype": policy,
        "unit": "MiB/layer",
        "slope_ours": ours,
        "slope_backprop": backprop,
        "ratio_to_backprop": ours / backprop,
        "activities_ours": activities_ours,
        "activities_backprop": activities_backprop,
        "peaks_ours": peaks_ours,
        "peaks_backprop": peaks_backprop,
    }


def _in_own_process(*arguments):
    return own_process.result("keras_ff.lab.benchmarks.memory", *arguments)


def peak(method, depth, image_size, channels, batch_size, policy):
    """Peak resident memory of this process in MiB after three steps, less weights and slots."""
    keras.config.set_dtype_policy(policy)
    layers = [
        FFConv2D(channels, goodness="class_groups", normalization="class_groups")
        for _ in range(depth)
    ]
    model = FFModel(
        layers, CLASSES, label_embedding=None, negatives=None, layer_schedule="simultaneous"
    )
    model.compile("adam")
    model.build((None, image_size, image_size, channels))
    x, y = training_step.drawn(model, batch_size)
    if method == "backprop":
        model = model.to_backprop(carry_weights=False)
        model.compile("adam", "sparse_categorical_crossentropy")
    step = training_step.stepper(model, x, y)
    for _ in range(3):
        step()
    weights = sum(np.prod(weight.shape) * 4 for weight in model.weights + model.optimizer.variables)
    return _peak_of_process() - float(weights) / MIB


def _peak_of_process():
    """Peak resident memory in MiB."""
    try:
        status = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:  # not Linux
        import resource  # which Windows does not have

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (MIB if sys.platform == "darwin" else 1024)
    # A process inherits what getrusage tells from the one that started it.
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    chosen, *numbers, dtype_policy = sys.argv[1:]
    print(json.dumps(peak(chosen, *map(int, numbers), dtype_policy)))
