"""`fit` from a dataset, input pipeline and augmentation included, beside the bare step."""

import statistics
import time

import keras

from keras_ff import datasets, models
from keras_ff.lab.benchmarks import side_by_side, training_step

# Dataset, augmentation, batch size, and the model by name.
CASES = (
    ("mnist", {"shift": 2}, 512, "4 × 2000", lambda: models.mlp((2000,) * 4)),
    ("cifar10", {"shift": 4, "flip": True}, 128, "models.cnn()", models.cnn),
)


def run(cases=CASES, policy="mixed_bfloat16", epochs=4):
    """Rows of `fit`, in samples/s: `ours` through `fit`, and as `floor` the bare step.

    The first of the `epochs`, of which there must be two or more, is not counted.
    """
    keras.config.set_dtype_policy(policy)
    for name, augment, batch_size, network, make in cases:
        data, _, _ = datasets.load(name, batch_size=batch_size, augment=augment)
        shape = data.element_spec[0].shape[1:]
        model, twin = make(), make()
        for each in (model, twin):
            each.compile("adam")
            each.build((None, *shape))
        bare = _Bare(training_step.stepper(twin, *training_step.drawn(twin, batch_size)))
        model.fit(data, epochs=epochs, verbose=0, callbacks=[bare])
        seconds = {"ours": bare.median("epochs"), "floor": bare.median("steps")}
        case = f"{name}, {augment}, {network}, batch {batch_size}"
        yield side_by_side.row("fit", case, policy, "samples/s", batch_size, seconds)


class _Bare(keras.callbacks.Callback):
    """Takes as many bare steps between the epochs as an epoch has, and times both."""

    def __init__(self, step):
        super().__init__()
        self.step = step
        self.seconds = {"epochs": [], "steps": []}

    def on_epoch_begin(self, epoch, logs=None):
        self.count = 0
        self.start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1

    def on_epoch_end(self, epoch, logs=None):
        self._note("epochs", self.start)
        self.step()
        start = time.perf_counter()
        for _ in range(self.count):
            self.step()
        self._note("steps", start)

    def _note(self, name, start):
        self.seconds[name].append((time.perf_counter() - start) / self.count)

    def median(self, name):
        """Seconds per step, the first epoch left out."""
        return statistics.median(self.seconds[name][1:])
