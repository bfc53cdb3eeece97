"""Trains small models on some devices, and writes down their weights; run by test_distribution.py.

python replicas.py BACKEND KIND CASES FOLDER [WORKER PORT]: KIND is two "devices" of one process,
beside which one of them trains by itself, or "workers", of which this is number WORKER. CASES are
parted by commas, each with its numbers of samples: "label map:400/20" has 400 in batches of 20.
"""

import json
import os
import pathlib
import sys

BACKEND, KIND, CASES, FOLDER, *WORKER = sys.argv[1:]
NUMBER, PORT = (int(WORKER[0]), int(WORKER[1])) if WORKER else (0, 0)
os.environ["KERAS_BACKEND"] = BACKEND
if (BACKEND, KIND) == ("jax", "devices"):
    given = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{given} --xla_force_host_platform_device_count=2"
elif (BACKEND, KIND) == ("tensorflow", "workers"):
    os.environ["TF_CONFIG"] = json.dumps(
        {
            "cluster": {"worker": [f"127.0.0.1:{PORT}", f"127.0.0.1:{PORT + 1}"]},
            "task": {"type": "worker", "index": NUMBER},
        }
    )
elif (BACKEND, KIND) == ("jax", "workers"):
    os.environ |= {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{PORT}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
        "KERAS_DISTRIBUTION_PROCESS_ID": str(NUMBER),
    }
if BACKEND == "tensorflow":
    import tensorflow as tf

    # Graphs run for a few steps and take longer to optimise.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    if KIND == "devices":
        processor = tf.config.list_physical_devices("CPU")[0]
        halves = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(processor, halves)

import keras  # noqa: E402  (what comes before decides what it finds)
import numpy as np  # noqa: E402
import sklearn.datasets  # noqa: E402

import keras_ff  # noqa: E402
from keras_ff import distribution, goodness, layers, losses, negatives  # noqa: E402
from keras_ff.layers import FFConv2D, FFDense  # noqa: E402


def dense(auxiliary=lambda: None, **settings):
    return [FFDense(24, auxiliary=auxiliary(), **settings) for _ in range(2)]


# Layers, the model's other arguments, and the loss.
MODELS = {
    "learned threshold": (dense, {}, losses.Logistic("learned")),
    "class groups": (
        lambda: [
            FFDense(20, goodness=goodness.ClassGroups(), normalization=normalization)
            for normalization in ("length", "batch")
        ],
        {"label_embedding": None, "negatives": None},
        None,
    ),
    "peer normalisation": (
        lambda: dense(layers.PeerNormalization),
        {"negatives": lambda: negatives.RandomLabels(count=3)},
        "label_softmax",
    ),
    "hybrid images": (
        dense,
        {"label_embedding": None, "negatives": "hybrid_images", "readout": "softmax"},
        "symba",
    ),
    "greedy hard labels and auxiliary terms": (
        lambda: dense(
            lambda: [losses.SupCon(8), losses.SimilarityMatching(1.0)], kernel_regularizer="l2"
        ),
        {"negatives": "hard_labels", "readout": "softmax", "layer_schedule": "greedy"},
        "symba",
    ),
    "adversarial and label map": (
        lambda: [FFConv2D(4, 3)],
        {"label_embedding": "label_map", "negatives": "adversarial"},
        "symba",
    ),
}


class Batches(keras.utils.PyDataset):
    """Of every batch what this worker has of it."""

    def __init__(self, x, y, size):
        super().__init__()
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, index):
        rows = slice(index * self.size, (index + 1) * self.size)
        x, y = self.x[rows], self.y[rows]
        if (BACKEND, KIND) == ("jax", "workers"):
            x, y = np.split(x, 2)[NUMBER], np.split(y, 2)[NUMBER]
        return x, y


def data(samples, size):
    digits = sklearn.datasets.load_digits()
    x, y = (digits.images[:samples, ..., None] / 16).astype("float32"), digits.target[:samples]
    if BACKEND == "jax":
        return Batches(x, y, size)
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(size)


def copies(variable):
    """The values that a variable has, one a device of this process."""
    value = variable.value
    if BACKEND == "jax":
        return [np.asarray(shard.data) for shard in value.addressable_shards]
    return [one.numpy() for one in getattr(value, "values", [value])]


def trained(name, where, samples, size):
    make, settings, loss = MODELS[name]
    settings = {"layer_schedule": "simultaneous", **settings}
    keras.utils.set_random_seed(0)
    with where.scope():
        settings = {key: value() if callable(value) else value for key, value in settings.items()}
        model = keras_ff.FFModel(make(), 10, **settings)
        model.compile(keras.optimizers.Adam(1e-3), loss, weighted_metrics=["accuracy"])
    epochs = 2 if settings["layer_schedule"] == "greedy" else 1
    held_out = data(100, 50)
    with where.training():
        history = model.fit(
            data(samples, size), epochs=epochs, verbose=0, shuffle=False, validation_data=held_out
        )
    return model, history.history


def outcome(where):
    """Weights by case, number and device, and metrics by case."""
    found = {}
    for case in CASES.split(","):
        kind, _, batches = case.partition(":")
        count, batch_size = map(int, batches.split("/"))
        model, history = trained(kind, where, count, batch_size)
        for number, variable in enumerate(model.weights):
            for place, value in enumerate(copies(variable)):
                if variable is model.readout.temperature:
                    # Of scores that tell nothing the highest is the best, by a hair.
                    value = np.minimum(value, 1000)
                found[f"{case}|{number}|{place}"] = value
        for metric, values in history.items():
            found[f"{case}|history|{metric}"] = np.array(values)
    return found


if __name__ == "__main__":
    if KIND == "devices":
        np.savez(pathlib.Path(FOLDER, "one-0.npz"), **outcome(distribution.Alone()))
    np.savez(pathlib.Path(FOLDER, f"{KIND}-{NUMBER}.npz"), **outcome(distribution.Parallel(KIND)))
