"""Times two checkouts of keras_ff against each other, as processes in turn.

    python benchmarks/between_commits.py OLD NEW --pairs 7 --policy float32

Each process takes the median of its own rounds; a row's figure is the median of the pairs' ratios,
old to new: above 1 the new one is faster.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROWS = ("contrastive", "class_groups", "resnet", "predict", "fit_augmented", "greedy_cache")


def measure(policy):
    """Seconds of each row, by the keras_ff that Python finds."""
    import keras
    import numpy as np

    from keras_ff import FFModel, datasets, layer_schedules, layers, models

    keras.config.set_dtype_policy(policy)

    def rounds(function, count, warm=6):
        times = []
        for number in range(warm + count):
            start = time.perf_counter()
            function()
            if number >= warm:
                times.append(time.perf_counter() - start)
        return statistics.median(times)

    def step(model, shape, batch_size, count):
        import tensorflow as tf

        keras.utils.set_random_seed(0)
        model.compile("adam")
        model.build((None, *shape))
        generator = np.random.default_rng(0)
        x = generator.random((batch_size, *shape), "float32")
        y = generator.integers(0, 10, batch_size)
        batches = iter(tf.data.Dataset.from_tensors((x, y)).cache().repeat())
        model.make_train_function()
        return rounds(lambda: model.train_function(batches), count), x

    found = {}
    model = models.mlp((2000,) * 4)
    found["contrastive"], x = step(model, (28, 28), 512, 12)
    found["predict"] = rounds(lambda: model.predict(x, batch_size=512, verbose=0), 5, 1)
    found["class_groups"], _ = step(models.mlp((2000,) * 4, class_groups=True), (28, 28), 512, 12)
    found["resnet"], _ = step(models.resnet(20), (32, 32, 3), 128, 10)

    class Epochs(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seconds = []

        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds.append(time.perf_counter() - self.start)

    model, epochs = models.cnn(), Epochs()
    model.compile("adam")
    data, _, _ = datasets.load("cifar10", batch_size=128, augment={"shift": 4, "flip": True})
    model.fit(data.take(10), epochs=4, verbose=0, callbacks=[epochs])
    found["fit_augmented"] = statistics.median(epochs.seconds[1:])

    schedule = layer_schedules.Greedy()
    made = [layers.FFDense(1000) for _ in range(3)]
    model, epochs = FFModel(made, 10, layer_schedule=schedule), Epochs()
    model.compile("adam")
    generator = np.random.default_rng(0)
    x, y = generator.random((3_000, 28, 28), "float32"), generator.integers(0, 10, 3_000)
    model.fit(x, y, batch_size=100, epochs=12, verbose=0, callbacks=[epochs])
    found["greedy_cache"] = statistics.median(epochs.seconds[-3:])
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", metavar="OLD NEW")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--policy", default="mixed_bfloat16")
    arguments = parser.parse_args()
    if not arguments.checkouts:
        print(json.dumps(measure(arguments.policy)))
        return
    ratios = {name: [] for name in ROWS}
    for _ in range(arguments.pairs):
        old, new = (
            run(pathlib.Path(one).resolve(), arguments.policy) for one in arguments.checkouts
        )
        for name in ROWS:
            ratios[name].append(old[name] / new[name])
        print(json.dumps({name: round(each[-1], 3) for name, each in ratios.items()}), flush=True)
    print(json.dumps({name: round(statistics.median(each), 3) for name, each in ratios.items()}))


def run(checkout, policy):
    """What a process measures by the keras_ff of a checkout."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CPP_MIN_LOG_LEVEL": "2"}
    command = [sys.executable, pathlib.Path(__file__).resolve(), "--policy", policy]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
