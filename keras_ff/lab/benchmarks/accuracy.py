"""Seconds of training to an accuracy, by recipe, beside backpropagation."""

import statistics
import time

import keras

from keras_ff import datasets
from keras_ff.lab.experiments import backpropagation, mlp_recipes

# The share of validation samples classified correctly at which the clock stops.
TARGETS = {"mnist": 0.98, "cifar10": 0.55}
BACKPROPAGATION = "backpropagation"


def run(rounds=5, targets=None, **changed):
    """Rows of `accuracy`: `ours` is the median of the seconds that a recipe took.

    The clock runs from the first step until an epoch ends with the accuracy on validation data, all
    compiling and validation included. Recipes and backpropagation, which trains the network of the
    class groups with ReLU and a softmax head, take turns, with seeds 0 to `rounds` - 1. `changed`
    are options of every recipe's `TrainingConfig`, `targets` takes the place of `TARGETS`.
    """
    for dataset, target in (targets or TARGETS).items():
        configs = _configs(dataset, **changed)
        clocks = {name: [] for name in configs}
        for seed in range(rounds):
            for name, config in configs.items():
                clocks[name].append(_timed(name, config, seed, target))
        backprop = _median(clocks[BACKPROPAGATION])
        for name, found in clocks.items():
            seconds = _median(found)
            yield {
                "bench": "accuracy",
                "case": f"{dataset}, {name}, to {100 * target:g} % on validation data",
                "dtype": configs[name].dtype_policy,
                "unit": "s",
                "ours": seconds,
                "ratio_to_backprop": seconds / backprop if seconds and backprop else None,
                "epochs": [clock.epochs for clock in found],
                "seconds": [clock.seconds for clock in found],
                "best_accuracy": max(clock.best for clock in found),
            }


def _configs(dataset, **changed):
    """What takes turns on a dataset: recipes by name, and the network of backpropagation."""
    if dataset == "mnist":
        contrastive = mlp_recipes.mnist
        size = {"units": (500,) * 3}
    else:
        contrastive = lambda **options: mlp_recipes.contrastive(dataset, **options)  # noqa: E731
        size = {}
    groups = mlp_recipes.class_groups(dataset, **{**size, **changed})
    return {
        "greedy": contrastive(**{"layer_schedule": "greedy", **changed}),
        "simultaneous": contrastive(**changed),
        "class groups": groups,
        BACKPROPAGATION: groups,
    }


def _timed(name, config, seed, target):
    """The clock of one training, which ends at the target or after the recipe's epochs."""
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    samples, validation, _ = config.load_data()
    image_shape = tuple(samples.element_spec[0].shape[1:])
    num_classes = datasets.info(config.dataset).num_classes
    if name == BACKPROPAGATION:
        model = backpropagation.new_network(config, None, image_shape, num_classes, len(samples))
    else:
        model = config.new_model(image_shape, num_classes, len(samples))
    clock = _Clock(target)
    model.fit(
        samples,
        epochs=config.epochs,
        validation_data=validation,
        shuffle=False,  # the pipeline does
        verbose=0,
        callbacks=[clock],
    )
    return clock


def _median(clocks):
    """The median of seconds, of which those that never arrived are the longest; or `None`."""
    seconds = [clock.seconds or float("inf") for clock in clocks]
    found = statistics.median(seconds)
    return None if found == float("inf") else found


class _Clock(keras.callbacks.Callback):
    """Seconds from the first step until an epoch ends with an accuracy on validation data."""

    def __init__(self, accuracy):
        super().__init__()
        self.accuracy = accuracy
        self.best = 0.0
        self.seconds = self.epochs = None

    def on_train_begin(self, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.best = max(self.best, logs["val_accuracy"])
        if self.best >= self.accuracy:
            self.seconds, self.epochs = time.perf_counter() - self.start, epoch + 1
            self.model.stop_training = True
