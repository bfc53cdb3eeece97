"""Seconds to an accuracy by the order in which layers learn."""

import time

import keras

from keras_ff import datasets, models

SCHEDULES = ("greedy", "simultaneous", "pipelined")


def run(
    dataset="mnist", units=(500, 500, 500), accuracy=0.96, epochs=9, policy="mixed_bfloat16", seed=0
):
    """Rows of `schedule`: `ours` is the seconds of training to an accuracy on validation data."""
    keras.config.set_dtype_policy(policy)
    for schedule in SCHEDULES:
        keras.utils.set_random_seed(seed)
        data, validation, _ = datasets.load(dataset, batch_size=128)
        model = models.mlp(units, layer_schedule=schedule)
        model.compile(keras.optimizers.Adam(1e-3), metrics=["accuracy"])
        clock = _Clock(accuracy)
        model.fit(data, epochs=epochs, validation_data=validation, verbose=0, callbacks=[clock])
        yield {
            "bench": "schedule",
            "case": f"{dataset}, {schedule}, to {100 * accuracy:g} % on validation data",
            "dtype": policy,
            "unit": "s",
            "ours": clock.reached,
            "epochs": clock.epochs,
            "best_accuracy": clock.best,
        }


class _Clock(keras.callbacks.Callback):
    """Seconds of training, without those of validation, until an accuracy is reached."""

    def __init__(self, accuracy):
        super().__init__()
        self.accuracy = accuracy
        self.seconds = self.best = 0.0
        self.reached = self.epochs = None

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_test_begin(self, logs=None):
        self.seconds += time.perf_counter() - self.start

    def on_epoch_end(self, epoch, logs=None):
        self.best = max(self.best, logs["val_accuracy"])
        if self.best >= self.accuracy:
            self.reached, self.epochs = self.seconds, epoch + 1
            self.model.stop_training = True
