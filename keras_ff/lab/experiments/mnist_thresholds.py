"""MNIST with activations that fail at the usual threshold, and what a search makes of them.

`python -m keras_ff.experiments.mnist_thresholds ACTIVATION` searches threshold, margin and
goodness scale of a 3 × 500 network with the logistic loss and one negative per sample on validation
data, trains the best for longer, reads the test set once, and writes
`results/mnist_thresholds/ACTIVATION.json`; with `--map` a grid of thresholds and margins at the
scale that was found, and `ACTIVATION_map.json`. What was interrupted goes on where it stood.
"""

import argparse
import dataclasses
import json
import pathlib

from keras_ff import training, tuning
from keras_ff.lab.experiments import results
from keras_ff.recipes import TrainingConfig

ACTIVATIONS = ("tanh", "sigmoid", "gelu", "leaky_relu", "t_distribution")
SEARCHED = ("threshold", "margin", "goodness_scale")
GRID = {"threshold": [0.05, 0.1, 0.2, 0.4, 0.8, 1.6], "margin": [0.0, 0.1, 0.3, 0.9]}
RESULTS = pathlib.Path("results/mnist_thresholds")
RUNS = pathlib.Path("runs/mnist_thresholds")


def base(activation, epochs, **chosen):
    """The configuration that is searched: MNIST's own, with the logistic loss."""
    return TrainingConfig.for_dataset(
        "mnist",
        activation=activation,
        loss="logistic",
        negatives_count=1,
        epochs=epochs,
        dtype_policy="mixed_bfloat16",
        **chosen,
    )


def search(activation, trials, search_epochs, epochs):
    """Search, train the best, and read the test set."""
    found = tuning.tune(
        base(activation, search_epochs), SEARCHED, RUNS / activation, trials, resume=True
    )
    config = dataclasses.replace(found[0].config, epochs=epochs)
    metrics = training.train(config, RUNS / f"{activation}_best", resume=True, verbose=2)
    return {
        "trials": recorded(found),
        "trained": {
            name: metrics[name]
            for name in ("test_accuracy", "validation_accuracy", "epochs", "seconds", "command")
        },
    }


def grid(activation, search_epochs):
    """Every pair of thresholds and margins, at the goodness scale of the best trial."""
    record = json.loads((RESULTS / f"{activation}.json").read_text(encoding="utf-8"))
    scale = record["trials"][0]["values"]["goodness_scale"]
    number = len(GRID["threshold"]) * len(GRID["margin"])
    found = tuning.tune(
        base(activation, search_epochs, goodness_scale=scale),
        GRID,
        RUNS / f"{activation}_map",
        number,
        tuner="grid",
        resume=True,
    )
    return {"goodness_scale": scale, "trials": recorded(found)}


def recorded(found):
    """Trials as JSON holds them, best first; accuracies are of validation data, as fractions."""
    return [
        {"values": one.values, "validation_accuracy": one.score, "failed": one.failed}
        for one in found
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("activation", choices=ACTIVATIONS)
    parser.add_argument("--map", action="store_true", help="a grid of thresholds and margins")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--search-epochs", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=20, help="of the final training")
    chosen = parser.parse_args()
    name, command = chosen.activation, f"{chosen.activation} --search-epochs {chosen.search_epochs}"
    if chosen.map:
        name, command = f"{name}_map", f"{command} --map"
        found = grid(chosen.activation, chosen.search_epochs)
    else:
        command += f" --trials {chosen.trials} --epochs {chosen.epochs}"
        found = search(chosen.activation, chosen.trials, chosen.search_epochs, chosen.epochs)
    result = {
        "command": f"python -m keras_ff.experiments.mnist_thresholds {command}",
        "dataset": "mnist, 50,000 / 10,000 / 10,000",
        "base": base(chosen.activation, chosen.search_epochs).to_dict(),
        **found,
    }
    results.write(RESULTS / f"{name}.json", result)


if __name__ == "__main__":
    main()
