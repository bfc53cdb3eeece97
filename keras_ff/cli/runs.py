"""The folders of runs that commands make and go on with."""

import datetime
import pathlib

from keras_ff.cli import printing

RUNS = pathlib.Path("runs")


def new_folder(dataset):
    """A folder under `runs` that does not exist yet, named after dataset and time."""
    name = dataset.replace("/", "-").replace(":", "-")
    stem = f"{name}-{datetime.datetime.now():%Y-%m-%d-%H%M%S}"
    folder, count = RUNS / stem, 1
    while folder.exists():
        count += 1
        folder = RUNS / f"{stem}-{count}"
    return folder


def resumable():
    """The newest run that is not complete, as a hint."""
    from keras_ff import training

    unfinished = [
        path.parent
        for path in RUNS.glob(f"*/{training.CONFIG_FILE}")
        if not (path.parent / training.METRICS_FILE).exists()
    ]
    if not unfinished:
        return "--out FOLDER"
    newest = max(unfinished, key=lambda folder: (folder / training.CONFIG_FILE).stat().st_mtime)
    return printing.command("--out", newest)


def saved_config(folder):
    """The configuration of the run in a folder, or None where there is none."""
    from keras_ff import recipes, training

    if not (folder / training.CONFIG_FILE).exists():
        return None
    return recipes.TrainingConfig.from_dict(training.read_json(folder / training.CONFIG_FILE))
