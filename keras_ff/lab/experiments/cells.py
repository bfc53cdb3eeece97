"""Cells of a published table, trained and measured, each into a file of its own."""

import dataclasses
import datetime
import functools
import pathlib
import time

import keras

from keras_ff import datasets, training
from keras_ff.lab.experiments import backpropagation, layers, networks, results
from keras_ff.recipes import VARIATIONS
from keras_ff.utils import files

RESULTS = pathlib.Path("results")
RUNS = pathlib.Path("runs/reproduce")
# What two cores train in hours; all that the sources had; and a tenth of the first one's epochs.
BUDGETS = (DEFAULT, FULL, QUICK) = ("two_cores", "full", "quick")
# What is kept of every epoch.
CURVES = ("loss", "accuracy", "cross_entropy", "val_loss", "val_accuracy", "val_cross_entropy")
PARTS = ("training", "validation", "test")
MEASURED = ("accuracy", "loss", "cross_entropy")


def path_of(table, cell, seed=0, budget=DEFAULT, folder=RESULTS):
    """The path of a cell's result."""
    folder = files.path_of(folder)
    if budget != DEFAULT:
        folder = folder / budget
    return folder / table.name / f"{cell.name}-seed_{seed}.json"


def reproduce(
    table,
    names=(),
    budget=DEFAULT,
    seeds=1,
    resume=False,
    folder=RESULTS,
    runs=RUNS,
    data_dir=None,
    tell=print,
):
    """Train the cells of a table that have no result yet, those of unknown datasets apart.

    Without `names` all cells are trained, by the seeds 0, 1, 2 …. `budget` is one of `BUDGETS`, of
    which all but the first have results of their own. Results are kept in `folder`, trainings in
    `runs`; one that was begun is refused unless `resume` is true. `tell` is given lines of
    progress.
    """
    if budget not in BUDGETS:
        raise ValueError(f"The budgets are {', '.join(BUDGETS)}. Received: budget={budget!r}")
    known = {cell.name: cell.within(budget) for cell in table.cells}
    for name in names:
        if name not in known:
            raise ValueError(
                f"The table {table.name} has no cell {name!r}; it has {', '.join(known)}. "
                f"Received: {name!r}"
            )
    wanted = [
        (cell, seed)
        for seed in range(seeds)
        for name, cell in known.items()
        if not names or name in names
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
        config = cell.seeded(seed)
        try:
            datasets.info(config.dataset, data_dir=data_dir)
        except ValueError as error:
            tell(f"{title}: left out. {error}")
            continue
        progress = Progress(title, config.epochs, tell)
        result = {
            "table": table.name,
            "budget": budget,
            **_trained(table, cell, config, run, data_dir, progress),
        }
        results.write(path_of(table, cell, seed, budget, folder), result, show=False)
        tell(f"{title}: test {100 * result['test']['accuracy']:.2f} %")


def _trained(table, cell, config, run, data_dir, progress):
    """Train a cell and measure it on all parts of its data, the test set once."""
    model, record = _model(table, cell, config, run, data_dir, progress)
    locality = None if cell.backpropagation else model.locality
    # As they are, not shifted, turned, mirrored or erased.
    plain = dataclasses.replace(config, **VARIATIONS)
    data = plain.load_data(data_dir=data_dir)
    read = {"date": datetime.date.today().isoformat(), "reason": "once, after the training"}
    measured, images = {}, sum(len(y) for _, y in data[0])
    for name, part in zip(PARTS, data, strict=True):
        found = model.evaluate(part, verbose=0, return_dict=True)
        measured[name] = {kind: found[kind] for kind in MEASURED if kind in found}
    layer_by_layer = {}
    if cell.measures_layers:
        layer_by_layer["layers"] = layers.measured(model, *data[:2])
    return {
        "cell": cell.name,
        "family": cell.family,
        "locality": locality,
        "seed": config.seed,
        **measured,
        "test_set_read": read,
        **layer_by_layer,
        "epochs": config.epochs,
        "seconds": record["seconds"],
        "curves": {
            name: [value and round(value, 5) for value in values]
            for name, values in files.for_json(record["history"]).items()
            if name in CURVES
        },
        "network": networks.described(model),
        "images": images,
        "parameters": model.count_params(),
        "config": config.to_dict(),
    }


def _model(table, cell, config, run, data_dir, progress):
    """The trained model of a cell, and the record of its training."""
    freq = cell.validation_freq
    own = {"callbacks": [progress], "validation_freq": freq, "save_freq": freq}
    if cell.network is not None:
        network, seconds = cell.network, 0.0
        if cell.first is not None:
            first = cell.first.seeded(config.seed)
            model, before = _model(table, cell.first, first, run / "first", data_dir, progress)
            network, seconds = functools.partial(network, model), before["seconds"]
            run = run / "second"
        own["new_model"] = functools.partial(_network, network, config.epochs)
    if cell.backpropagation:
        model, record = backpropagation.train(config, run, data_dir, **own)
    else:
        if cell.network is not None:
            own["command"] = f"keras-ff reproduce {table.name} --cells {cell.name}"
        training.train(config, run, True, data_dir, 0, **own)
        model, record = training.load(run)
    if cell.first is not None:
        record = {**record, "seconds": record["seconds"] + seconds}
    return model, record


def _network(network, epochs, sample_shape, num_classes, steps):
    """A source's network, compiled and built."""
    model = network(sample_shape, num_classes, epochs, steps)
    if not model.built:
        model.build((None, *sample_shape))
    return model


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
