"""Searching four layers one after the other, beside searching all of them at once, on MNIST.

`python -m keras_ff.experiments.layer_wise_search` searches threshold, margin and learning rate of
each of four layers under the greedy schedule both ways in one process, with the same number of
trials in all, and writes `results/layer_wise_search.json`. The test set is not read. What was
interrupted goes on where it stood, and then says no seconds.
"""

import argparse
import pathlib
import time

from keras_ff import tuning
from keras_ff.lab.experiments import results
from keras_ff.recipes import TrainingConfig

RESULT = pathlib.Path("results/layer_wise_search.json")
RUNS = pathlib.Path("runs/layer_wise_search")
# Of each layer, thresholds and margins in units of the goodness.
SEARCH = {"threshold": (0.25, 1.0), "margin": (0.0, 0.3), "learning_rate": (1e-3, 5e-3)}


def base():
    """Four layers that learn for two epochs each, on samples that are always the same."""
    return TrainingConfig.for_dataset(
        "mnist",
        units=(300,) * 4,
        loss="logistic",
        goodness_scale=16.0,
        negatives_count=1,
        layer_schedule="greedy",
        shift=0,
        epochs=8,
        batch_size=256,
        dtype_policy="mixed_bfloat16",
        # What a layer above adds is not needed, and may be left out.
        readout="best_layers",
    )


def timed(search, folder):
    """Best accuracy, trials, configuration and seconds of a search; `None` if it was resumed."""
    begun = folder.exists()
    start = time.perf_counter()
    found = search(base(), folder, resume=True, verbose=0)
    seconds = None if begun else time.perf_counter() - start
    layers = found if isinstance(found[0], list) else [found]
    best = layers[-1][0]
    return {
        "validation_accuracy": best.score,
        "trials": sum(map(len, layers)),
        "seconds": seconds,
        "command": best.config.command(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials-per-layer", "--trials-a-layer", type=int, default=7)
    chosen = parser.parse_args()
    trials = chosen.trials_per_layer * len(base().units)

    def joint(base, folder, **settings):
        search = {f"{name}s": wanted for name, wanted in SEARCH.items()}
        return tuning.tune(base, search, folder, trials, **settings)

    def layer_wise(base, folder, **settings):
        return tuning.tune_layers(base, SEARCH, folder, chosen.trials_per_layer, **settings)

    found = {
        "layer_wise": timed(layer_wise, RUNS / "layer_wise"),
        "joint": timed(joint, RUNS / "joint"),
    }
    result = {
        "command": "python -m keras_ff.experiments.layer_wise_search "
        f"--trials-per-layer {chosen.trials_per_layer}",
        "dataset": "mnist, 50,000 / 10,000 / 10,000",
        "base": base().to_dict(),
        "search": SEARCH,
        **found,
    }
    results.write(RESULT, result)


if __name__ == "__main__":
    main()
