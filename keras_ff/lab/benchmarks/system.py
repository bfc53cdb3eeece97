"""What training takes of a machine: time, processor, memory and power.

The metrics of Kesanapalli et al. (2023, §4.2), of the kinds of networks that they compare: dense
layers by Forward-Forward and by backpropagation, and attention among patches by Forward-Forward.
"""

import contextlib
import functools
import json
import os
import pathlib
import statistics
import sys
import threading
import time

import keras

from keras_ff import backends, datasets, models
from keras_ff.fast import stepper
from keras_ff.lab.benchmarks import own_process, side_by_side, training_step
from keras_ff.utils import extras

MIB = 2**20
BATCH_SIZE = 512
FORWARD_FORWARD, ATTENTION, BACKPROPAGATION = NETWORKS = (
    "dense, Forward-Forward",
    "attention, Forward-Forward",
    "dense, backpropagation",
)
# What is sampled while a network trains, with its unit. Those of a GPU are nan without one.
SAMPLED = {
    "processor": "%",
    "memory": "MiB",
    "power": "W",
    "gpu": "%",
    "gpu_memory": "MiB",
    "gpu_memory_use": "%",
    "gpu_power": "W",
}
# Linux tells here what the processor has drawn, where it may be read.
ENERGY = pathlib.Path("/sys/class/powercap/intel-rapl:0/energy_uj")


def run(dataset="mnist", units=(500,) * 4, epochs=3, policy="float32", interval=0.1):
    """Rows of `system`, one per network, each trained in a process of its own.

    `seconds` is from the start of `fit` to its end, compiling included; `epochs` and `layers` are
    lists, the seconds of each epoch and those of a compiled step of each layer; the others of
    `SAMPLED` are lists of samples taken every `interval` seconds, with the median as
    `median_processor` and so on, where the machine tells them.
    """
    extras.require("Samples of a process", "bench", "psutil")
    for name in NETWORKS:
        arguments = (name, dataset, json.dumps(list(units)), epochs, policy, interval)
        found = own_process.result("keras_ff.lab.benchmarks.system", *arguments)
        yield {
            "bench": "system",
            "case": f"{name}, {dataset}, {epochs} epochs, batch {BATCH_SIZE}",
            "dtype": policy,
            "unit": "s",
            "network": name,
            **found,
        }


def measured(name, dataset, units, epochs, policy, interval):
    """What a network takes while it trains, a dictionary."""
    keras.config.set_dtype_policy(policy)
    train, _, _ = datasets.load(dataset, BATCH_SIZE)
    model = _network(name, units, train)
    clock = _Clock()
    with Samples(interval) as samples:
        start = time.perf_counter()
        model.fit(train, epochs=epochs, verbose=0, callbacks=[clock])
        seconds = time.perf_counter() - start
    medians = {
        f"median_{kind}": statistics.median(values) for kind, values in samples.taken.items()
    }
    layers = _seconds_of_layers(model) if name != BACKPROPAGATION else []
    return {
        "seconds": seconds,
        "median_epoch": statistics.median(clock.epochs),
        **medians,
        "epochs": clock.epochs,
        "layers": layers,
        **samples.taken,
    }


def _network(name, units, train):
    """A compiled and built network for a dataset."""
    shape = train.element_spec[0].shape[1:]
    make = models.mlp if name != ATTENTION else models.vision_attention
    patches = {} if name != ATTENTION else {"patch_size": 4}
    model = make(units=units[1:] if patches else units, **patches)
    model.compile("adam")
    model.build((None, *shape))
    if name == BACKPROPAGATION:
        model = model.to_backprop(carry_weights=False)
        model.compile("adam", "sparse_categorical_crossentropy")
    return model


def _seconds_of_layers(model):
    """Median seconds of a compiled step of each layer, on one batch."""
    batch, sides = model.streams(*training_step.drawn(model, BATCH_SIZE)), {}
    steps = stepper(model)
    for index, layer in enumerate(model.ff_layers):
        entered = model.stack.enter(batch, training=True)

        def step(inputs, layer=layer, entered=entered):
            metrics, _ = steps.step(layer, entered.replace(inputs=inputs))
            return metrics["loss"]

        compiled = backends.compiled(step, _variables_of(layer))
        sides[index] = functools.partial(_taken, compiled, entered.inputs)
        _, batch = layer.test_step(entered)
    return list(side_by_side.medians(sides).values())


def _taken(step, inputs):
    """Take a step and wait for it."""
    keras.ops.convert_to_numpy(step(inputs))


def _variables_of(layer):
    """A function that lists what a layer's step changes."""
    return lambda: [*layer.variables, *layer.optimizer.variables]


class _Clock(keras.callbacks.Callback):
    """Seconds of each epoch."""

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(time.perf_counter() - self.start)


class Samples:
    """What this process takes of the machine, sampled by a thread within a `with` block.

    `taken` has a list for each of `SAMPLED` that the machine tells.
    """

    def __init__(self, interval=0.1):
        self.interval = interval
        self.taken = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _sample(self):
        import psutil

        process, processors = psutil.Process(), os.cpu_count()
        process.cpu_percent()  # the first call begins to count
        energy, then = _energy(), time.perf_counter()
        with _gpu() as gpu:
            while not self._stop.wait(self.interval):
                found = {
                    "processor": process.cpu_percent() / processors,
                    "memory": process.memory_info().rss / MIB,
                    **gpu(),
                }
                if energy is not None:
                    energy_now, now = _energy(), time.perf_counter()
                    if energy_now >= energy:  # the counter begins anew now and then
                        found["power"] = (energy_now - energy) / (now - then)
                    energy, then = energy_now, now
                for kind, value in found.items():
                    self.taken.setdefault(kind, []).append(round(value, 3))


def _energy():
    """Joules that the processor has drawn so far, `None` where the machine does not tell."""
    try:
        return int(ENERGY.read_text(encoding="utf-8")) / 1e6
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def _gpu():
    """A function that samples the first GPU of NVIDIA, and gives nothing where there is none."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # neither the library nor a driver need be there
        yield dict
        return
    device = pynvml.nvmlDeviceGetHandleByIndex(0)

    def sample():
        use = pynvml.nvmlDeviceGetUtilizationRates(device)
        return {
            "gpu": use.gpu,
            "gpu_memory_use": use.memory,
            "gpu_memory": pynvml.nvmlDeviceGetMemoryInfo(device).used / MIB,
            "gpu_power": pynvml.nvmlDeviceGetPowerUsage(device) / 1000,
        }

    yield sample
    pynvml.nvmlShutdown()


def picture(rows):
    """The distributions of what each network took, a `matplotlib.figure.Figure`.

    Args:
        rows: list of dictionaries, as from `run`.
    """
    from keras_ff.visualization import style

    titles = {"epochs": "time per epoch", "layers": "time per layer and step"}
    units = {"epochs": "s", "layers": "s", **SAMPLED}
    kinds = [kind for kind in units if any(row.get(kind) for row in rows)]
    figure = style.new_figure(11, 3.4 * -(-len(kinds) // 2))
    for axes, kind in zip(style.grid(figure, len(kinds), 2), kinds, strict=True):
        shown = [row for row in rows if row.get(kind)]
        parts = axes.violinplot([row[kind] for row in shown], vert=False, showmedians=True)
        for body, row in zip(parts["bodies"], shown, strict=True):
            body.set_facecolor(style.COLORS[rows.index(row)])
        axes.set_yticks(range(1, len(shown) + 1), [row["network"] for row in shown])
        axes.set(title=titles.get(kind, kind.replace("_", " ")), xlabel=units[kind])
        axes.grid(axis="x", alpha=0.3)
    return figure


if __name__ == "__main__":
    chosen, data, widths, number, dtype, every = sys.argv[1:]
    print(
        json.dumps(
            measured(chosen, data, tuple(json.loads(widths)), int(number), dtype, float(every))
        )
    )
