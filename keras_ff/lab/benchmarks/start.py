"""What a user waits for: `keras-ff train` from start to end, beside a plain Keras script."""

import functools
import pathlib
import sys
import tempfile

from keras_ff import recipes
from keras_ff.lab.benchmarks import own_process, side_by_side

PLAIN = pathlib.Path(__file__).with_name("plain_keras.py")


def run(rounds=5, **chosen):
    """The row of `start`: `ours` and `backprop` are median seconds of whole processes.

    Both train a network of the same widths on as many digits, for as many epochs of as many steps,
    validate it after each, test it in the end, and leave the model, its metrics and pictures.
    Python's start, all imports and all compiling count. The processes take turns; the first turn
    is not timed. `chosen` are options of `TrainingConfig.for_dataset("digits", …)`; without any
    it is bare `keras-ff train`.
    """
    config = recipes.TrainingConfig.for_dataset("digits", **chosen)
    words = config.command().split()[1:] if chosen else ["train"]
    with tempfile.TemporaryDirectory() as folder:
        sides = {
            "ours": functools.partial(_run, folder, "-m", "keras_ff_cli", *words, "--out"),
            "backprop": functools.partial(_run, folder, "-P", PLAIN, *_words(config)),
        }
        seconds = side_by_side.medians(sides, rounds, warmups=1)
    yield {
        "bench": "start",
        "case": f"digits, {'-'.join(map(str, config.units))}, {config.epochs} epochs, "
        f"batch {config.batch_size}",
        "dtype": config.dtype_policy,
        "unit": "s",
        **seconds,
        "ratio_to_backprop": seconds["ours"] / seconds["backprop"],
    }


def _words(config):
    """A configuration for the plain script, its folder to follow."""
    _, validation, test = config.load_data()
    sizes = [sum(len(y) for _, y in part) for part in (test, validation)]
    options = {
        "--epochs": [config.epochs],
        "--batch-size": [config.batch_size],
        "--learning-rate": [config.learning_rate],
        "--test-size": sizes[:1],
        "--validation-size": sizes[1:],
        "--units": config.units,
    }
    return [word for name, values in options.items() for word in (name, *values)] + ["--"]


def _run(folder, *words):
    """Run a program with an empty folder as its last word."""
    own_process.finished([sys.executable, *words, tempfile.mkdtemp(dir=folder)])
