"""Cells of a published table, trained and measured, each into a file of its own."""

import dataclasses
import pathlib
import time

import keras

from keras_ff import datasets, training
from keras_ff.lab.experiments import backpropagation, results
from keras_ff.recipes import VARIATIONS
from keras_ff.utils import files

RESULTS = pathlib.Path("results")
RUNS = pathlib.Path("runs/reproduce")
# The share of a cell's epochs that each budget has.
BUDGETS = {"full": 1.0, "quick": 0.1}
PARTS = ("training", "validation", "test")


def path_of(table, cell, seed=0, budget="full", folder=RESULTS):
    """The path of a cell's result."""
    folder = files.path_of(folder)
    if budget != "full":
        folder = folder / budget
    return folder / table.name / f"{cell.name}-seed_{seed}.json"


def reproduce(
    table,
    names=(),
    budget="full",
    seeds=1,
    resume=False,
    folder=RESULTS,
    runs=RUNS,
    data_dir=None,
    tell=print,
):
    """Train the cells of a table that have no result yet, those of unknown datasets apart.

    Without `names` all cells are trained, by the seeds 0, 1, 2 …. The `"quick"` budget is a tenth
    of each cell's epochs. Results are kept in `folder`, trainings in `runs`; one that was begun is
    refused unless `resume` is true. `tell` is given lines of progress.
    """
    if budget not in BUDGETS:
        raise ValueError(f"The budgets are {', '.join(BUDGETS)}. Received: budget={budget!r}")
    known = {cell.name: cell for cell in table.cells}
    for name in names:
        if name not in known:
            raise ValueError(
                f"The table {table.name} has no cell {name!r}; it has {', '.join(known)}. "
                f"Received: {name!r}"
            )
    wanted = [
        (cell, seed)
        for seed in range(seeds)
        for cell in table.cells
        if not names or cell.name in names
    ]
    left = [
        (cell, seed)
        for cell, seed in wanted
        if not path_of(table, cell, seed, budget, folder).exists()
    ]
    tell(f"{table.name}: {len(left)} of {len(wanted)} cells to train")
    for number, (cell, seed) in enumerate(left, 1):
        title = f"{number}/{len(left)} {cell.row}, {cell.family}, seed {seed}"
        run = files.path_of(runs) / budget / table.name / f"{cell.name}-seed_{seed}"
        if run.exists() and not resume:
            raise ValueError(
                f"The training of {cell.name} in {str(run)!r} was begun already: add --resume to "
                "go on with it."
            )
        config = cell.seeded(seed, BUDGETS[budget])
        try:
            datasets.info(config.dataset, data_dir=data_dir)
        except ValueError as error:
            tell(f"{title}: left out. {error}")
            continue
        progress = Progress(title, config.epochs, tell)
        result = {
            "table": table.name,
            "budget": budget,
            **_trained(cell, config, run, data_dir, progress),
        }
        results.write(path_of(table, cell, seed, budget, folder), result, show=False)
        tell(f"{title}: test {100 * result['test']['accuracy']:.2f} %")


def _trained(cell, config, run, data_dir, progress):
    """Train a cell and measure it on all parts of its data, the test set once."""
    if cell.backpropagation:
        model, record = backpropagation.train(config, run, data_dir, [progress])
        locality = None
    else:
        training.train(config, run, True, data_dir, 0, callbacks=[progress])
        model, record = training.load(run)
        locality = model.locality
    # As they are, not shifted, turned, mirrored or erased.
    plain = dataclasses.replace(config, **VARIATIONS)
    data = plain.load_data(data_dir=data_dir)
    measured = {}
    for name, part in zip(PARTS, data, strict=True):
        found = model.evaluate(part, verbose=0, return_dict=True)
        measured[name] = {"accuracy": found["accuracy"], "loss": found["loss"]}
    return {
        "cell": cell.name,
        "family": cell.family,
        "locality": locality,
        "seed": config.seed,
        **measured,
        "epochs": config.epochs,
        "seconds": record["seconds"],
        "validation_accuracy_by_epoch": record["history"]["val_accuracy"],
        "parameters": model.count_params(),
        "config": config.to_dict(),
    }


class Progress(keras.callbacks.Callback):
    """Tells after every epoch how far a training is."""

    def __init__(self, title, epochs, tell):
        super().__init__()
        self.title = title
        self.epochs = epochs
        self.tell = tell

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        left = (self.epochs - epoch - 1) * (time.perf_counter() - self.begin)
        accuracy = (logs or {}).get("val_accuracy")
        measured = "" if accuracy is None else f", validation {100 * accuracy:.2f} %"
        self.tell(
            f"{self.title}: epoch {epoch + 1}/{self.epochs}{measured}, {left / 60:.1f} min left"
        )
