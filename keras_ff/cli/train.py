"""`keras-ff train`: train a model, into a folder of its own."""

import argparse
import pathlib

from keras_ff import distribution as distributions
from keras_ff.cli import options, printing, runs


def train(
    out=None,
    resume=False,
    data_dir=None,
    dataset=None,
    layers=None,
    units=None,
    distribution=None,
    **chosen,
):
    """Train a model and say how it went."""
    from keras_ff import recipes, training

    if resume and out is None:
        raise ValueError(f"--resume needs the folder of the run to go on with: {runs.resumable()}.")
    if distribution == "workers" and out is None:
        raise ValueError("--distribution workers needs a folder that all of them share: --out.")
    folder = runs.new_folder(dataset or "digits") if out is None else out
    config = runs.saved_config(folder) if resume else None
    if dataset is not None:
        chosen["dataset"] = dataset
    if config is None:
        config = recipes.TrainingConfig.for_dataset(
            layers=layers, units=units, data_dir=data_dir, **chosen
        )
        if resume:
            print(f"There is no run to resume in {folder}: starting it.")
    else:
        if (layers, units) != (None, None):
            chosen["units"] = recipes.widths(units, layers, config.units)
        training.check_same(config.to_dict(), chosen)
    complete = resume and (folder / training.METRICS_FILE).exists()
    print(
        f"Run folder: {folder}"
        + ("" if complete else f" (if interrupted: keras-ff train --resume --out {folder})"),
        flush=True,
    )
    metrics = training.train(config, folder, resume, data_dir, printing.verbosity(), distribution)
    if complete:
        print("The run is complete; nothing was left to do.")
    print(printing.outcome(metrics))
    written = sorted(path.name for path in folder.iterdir() if ".partial" not in path.name)
    print(f"In {folder}: {', '.join(written)}")


def add_to(commands):
    """Add `train` and its options to the parser's commands."""
    parser = commands.add_parser(
        "train",
        help="train a model, into a folder of its own",
        description=(
            "Train a model into a folder of its own: model, figures, pictures. Without options: "
            "scikit-learn's digits, within a minute. What is not given is what suits the dataset."
        ),
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.set_defaults(command=train)
    options.add_configuration(parser)
    run = parser.add_argument_group("run")
    run.add_argument(
        "--out",
        type=pathlib.Path,
        metavar="FOLDER",
        help="where the run is kept (default: a new folder in runs/)",
    )
    run.add_argument(
        "--distribution",
        metavar="NAME",
        help=f"{' or '.join(distributions.KNOWN)}: all devices of this machine, or of several",
    )
    run.add_argument(
        "--resume", action="store_true", help="go on with the run in --out where it was broken off"
    )
