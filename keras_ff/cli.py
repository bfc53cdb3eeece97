"""The command line: `keras-ff train`, `tune`, `evaluate` and `bench`."""

import argparse
import datetime
import json
import pathlib
import sys
import warnings

from keras_ff import (
    distribution as distributions,
    goodness,
    labels,
    layer_schedules,
    losses,
    negatives,
    readouts,
)
from keras_ff.benchmarks import BENCHES
from keras_ff.version import __version__

# The benchmarks in which short work is timed again and again.
TIMED = ("step", "conv", "predict")
RUNS = pathlib.Path("runs")
SUCCESS, USER_ERROR, INTERRUPTED = 0, 2, 130


def main(argv=None):
    """Run a command.

    Args:
        argv: list of strings, the words after `keras-ff`. Defaults to `None`: those that the
            process was started with.

    Returns:
        The exit code: 0, 2 after one sentence on stderr about what was wrong with the command or
        its files, or 130 where it was interrupted.

    Example:

    >>> main(["--version"])
    keras-ff ...
    0
    """
    try:
        options = vars(_parser().parse_args(argv))
    except SystemExit as exit_:  # argparse has said what there is to say
        return exit_.code
    command = options.pop("command")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            command(**options)
        except (ValueError, OSError) as error:
            print(f"keras-ff: {' '.join(str(error).split())}", file=sys.stderr)
            return USER_ERROR
        except KeyboardInterrupt:
            print("\nkeras-ff: interrupted.", file=sys.stderr)
            return INTERRUPTED
    return SUCCESS


# Commands. Each imports what is heavy for itself.


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
        raise ValueError(f"--resume needs the folder of the run to go on with: {_resumable()}.")
    if distribution == "workers" and out is None:
        raise ValueError("--distribution workers needs a folder that all of them share: --out.")
    folder = _new_folder(dataset or "digits") if out is None else out
    config = _saved_config(folder) if resume else None
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
    metrics = training.train(config, folder, resume, data_dir, _verbosity(), distribution)
    if complete:
        print("The run is complete; nothing was left to do.")
    print(_outcome(metrics))
    written = sorted(path.name for path in folder.iterdir() if ".partial" not in path.name)
    print(f"In {folder}: {', '.join(written)}")


def tune(
    search,
    out=None,
    resume=False,
    data_dir=None,
    trials=20,
    tuner="bayesian",
    dataset=None,
    layers=None,
    units=None,
    **chosen,
):
    """Search for what trains best, and say with which command."""
    from keras_ff import recipes, tuning

    if resume and out is None:
        raise ValueError("--resume needs the folder of the search to go on with: --out.")
    folder = _new_folder(f"tune-{dataset or 'digits'}") if out is None else out
    names = [name.strip().replace("-", "_") for name in search.split(",")]
    if dataset is not None:
        chosen["dataset"] = dataset
    if not {"threshold", "thresholds", "margin", "margins"}.isdisjoint(names):
        chosen.setdefault("loss", "logistic")
    base = recipes.TrainingConfig.for_dataset(
        layers=layers, units=units, data_dir=data_dir, **chosen
    )
    print(f"Search folder: {folder} (if interrupted: add --resume --out {folder})", flush=True)
    found = tuning.tune(base, names, folder, trials, tuner, resume, data_dir)
    print(_trials_table(found))
    tuning.effects(found).savefig(folder / "effects.png")
    if {"threshold", "margin"} <= set(found[0].values):
        tuning.accuracy_map(found).savefig(folder / "accuracy_map.png")
    best = found[0]
    print(f"\nBest: validation accuracy {100 * best.score:.2f} %. Train it by\n")
    print(best.config.command())


def _trials_table(found):
    """The trials of a search, best first: validation accuracy, and what was chosen."""
    names = list(dict.fromkeys(name for one in found for name in one.values))
    lines = [["trial", "validation", *names]]
    for one in found:
        score = "–" if one.score is None else f"{100 * one.score:.2f} %"
        figures = [_short(one.values.get(name, "–")) for name in names]
        lines.append([one.trial, score + (" (failed)" if one.failed else ""), *figures])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def evaluate(model, dataset=None, as_json=False, batch_size=None, data_dir=None):
    """Measure a model on a data set, prepared as it was for training."""
    from keras_ff import datasets, recipes, training

    model, run = training.load(model)
    changes = {"dataset": dataset, "batch_size": batch_size}
    changes = {name: value for name, value in changes.items() if value is not None}
    config = recipes.TrainingConfig.from_dict({**(run["config"] if run else {}), **changes})
    info = datasets.info(config.dataset, data_dir=data_dir)
    if info.num_classes != model.num_classes:
        raise ValueError(
            f"The model tells {model.num_classes} classes apart, and {config.dataset!r} has "
            f"{info.num_classes}."
        )
    _, validation, test = config.load_data(data_dir=data_dir)
    validation_accuracy = None
    # Which samples were held out from training is known of our own runs alone.
    if run and validation is not None:
        validation_accuracy = training.figures(model, validation)["accuracy"]
    figures = training.figures(model, test)
    report = training.report(model, config, run, validation_accuracy, figures)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        print(_outcome(report))
        print(_table(report, info.class_names))


def bench(names, json_file=None, rounds=None):
    """Run benchmarks and print their tables."""
    from keras_ff import benchmarks, training

    print(json.dumps({"machine": training.machine(), **training.versions()}), flush=True)
    arguments = {} if rounds is None else {"rounds": rounds}
    rows = []
    for name in dict.fromkeys(names):
        own = arguments if name in TIMED else {}
        for row in benchmarks.run(name, **own):
            print(_figures(row), flush=True)
            rows.append(row)
            if json_file is not None:  # as they come: some take long
                json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


# What is printed.


def _figures(row):
    """A row of a benchmark as a line."""
    head = f"{row['bench']}: {row['case']}, {row['dtype']} ({row['unit']}): "
    apart = ("bench", "case", "dtype", "unit")
    figures = [
        f"{name} {figure:,.4g}" if isinstance(figure, float) else f"{name} {figure}"
        for name, figure in row.items()
        if name not in apart and figure is not None and not isinstance(figure, list)
    ]
    return head + ", ".join(figures)


def _outcome(metrics):
    """Dataset, accuracies, epochs and seconds in one sentence."""
    text = f"{metrics['dataset']}: test accuracy {100 * metrics['test_accuracy']:.2f} %"
    if metrics["validation_accuracy"] is not None:
        text += f", validation accuracy {100 * metrics['validation_accuracy']:.2f} %"
    if metrics["epochs"] is not None:
        text += f", {metrics['epochs']} epochs in {metrics['seconds']:.1f} s"
    return text + "."


def _table(report, class_names):
    """Accuracy of every class, and the confusion matrix."""
    matrix = report["confusion_matrix"]
    name_width = max(len("class"), *map(len, class_names))
    lines = ["", f"{'class':<{name_width}}  samples  accuracy"]
    for name, row, accuracy in zip(class_names, matrix, report["per_class_accuracy"], strict=True):
        figure = "–" if accuracy is None else f"{100 * accuracy:.2f} %"
        lines.append(f"{name:<{name_width}}  {sum(row):>7}  {figure:>8}")
    width = max(
        len(str(len(matrix) - 1)), *(len(str(count)) for counts in matrix for count in counts)
    )
    lines += ["", "Confusion matrix: a row for each true class, a column for each answer."]
    lines.append(
        f"{'':<{name_width}} " + "".join(f" {column:>{width}}" for column in range(len(matrix)))
    )
    for name, counts in zip(class_names, matrix, strict=True):
        lines.append(f"{name:<{name_width}} " + "".join(f" {count:>{width}}" for count in counts))
    return "\n".join(lines)


def _verbosity():
    """A progress bar on a terminal, a line an epoch anywhere else."""
    return 1 if sys.stdout.isatty() else 2


def _show_warning(message, category, filename, lineno, file=None, line=None):
    if issubclass(category, UserWarning):  # others are for those who write the code
        print(f"keras-ff: {' '.join(str(message).split())}", file=sys.stderr)


# Run folders.


def _new_folder(dataset):
    """A folder under `runs` that does not exist yet, named after dataset and time."""
    name = dataset.replace("/", "-").replace(":", "-")
    stem = f"{name}-{datetime.datetime.now():%Y-%m-%d-%H%M%S}"
    folder, count = RUNS / stem, 1
    while folder.exists():
        count += 1
        folder = RUNS / f"{stem}-{count}"
    return folder


def _resumable():
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
    return f"--out {newest}"


def _saved_config(folder):
    """The configuration of the run in a folder, or None where there is none."""
    from keras_ff import recipes, training

    if not (folder / training.CONFIG_FILE).exists():
        return None
    return recipes.TrainingConfig.from_dict(training.read_json(folder / training.CONFIG_FILE))


# Options. Those that are not given are absent, so that defaults are the dataset's or the run's.


class _Parser(argparse.ArgumentParser):
    """Says what was wrong with a command in one sentence."""

    def error(self, message):
        self.exit(USER_ERROR, f"{self.prog}: {message} (`{self.prog} --help` lists the options).\n")


def _parser():
    parser = _Parser(
        prog="keras-ff",
        description="Train and measure Forward-Forward networks.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"keras-ff {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    _add_train(commands)
    _add_tune(commands)
    _add_evaluate(commands)
    _add_bench(commands)
    return parser


def _add_train(commands):
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
    _add_configuration(parser)
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


def _add_tune(commands):
    parser = commands.add_parser(
        "tune",
        help="search for what trains best, with KerasTuner",
        description=(
            "Search for what trains best on validation data, with KerasTuner. The other options "
            "are those of `train`, and hold for all trials. Thresholds, margins and alpha are "
            "searched in units of the goodness."
        ),
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.set_defaults(command=tune)
    search = parser.add_argument_group("search")
    search.add_argument(
        "--search",
        default="threshold,margin",
        metavar="NAME[,NAME…]",
        help="what is searched (default: threshold,margin); also learning_rate, activation, width…",
    )
    search.add_argument("--trials", type=int, metavar="N", help="how many (default: 20)")
    search.add_argument(
        "--tuner", metavar="NAME", help="bayesian (default), random, hyperband or grid"
    )
    search.add_argument(
        "--out",
        type=pathlib.Path,
        metavar="FOLDER",
        help="where the search is kept (default: a new folder in runs/)",
    )
    search.add_argument("--resume", action="store_true", help="go on with the search in --out")
    _add_configuration(parser)


def _add_configuration(parser):
    """The options of a `TrainingConfig`."""
    data = parser.add_argument_group("data")
    data.add_argument("--dataset", metavar="NAME", help="digits (default) or a dataset of TFDS")
    data.add_argument("--data-dir", metavar="FOLDER", help="TFDS's folder of prepared datasets")
    data.add_argument(
        "--validation-share", type=float, metavar="SHARE", help="of the training samples"
    )
    data.add_argument(
        "--standardize",
        action=argparse.BooleanOptionalAction,
        help="subtract each channel's mean, divide by its standard deviation",
    )
    data.add_argument("--shift", type=int, metavar="PIXELS", help="shift training images at random")
    data.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        help="mirror training images at random",
    )
    data.add_argument(
        "--image-size", type=_integers, metavar="HEIGHT,WIDTH", help="resize images to this"
    )

    network = parser.add_argument_group("network")
    network.add_argument("--layers", type=int, metavar="N", help="number of layers")
    network.add_argument(
        "--units", type=_integers, metavar="N[,N…]", help="width of all layers, or of each"
    )
    network.add_argument("--activation", metavar="NAME", help="relu, tanh or another of Keras")
    network.add_argument("--normalization", metavar="NAME", help="between layers: length, batch, …")
    network.add_argument("--dropout", type=float, metavar="SHARE", help="of the activities")
    network.add_argument(
        "--peer-normalization", type=float, metavar="WEIGHT", help="keeps units equally active"
    )
    network.add_argument("--label-embedding", metavar="NAME", help=f"of classes: {_names(labels)}")
    network.add_argument(
        "--label-strength", type=float, metavar="SHARE", help="of a sample's energy"
    )
    network.add_argument("--readout", metavar="NAME", help=_names(readouts))

    objective = parser.add_argument_group("objective of each layer")
    objective.add_argument("--goodness", metavar="NAME", help=_names(goodness))
    objective.add_argument(
        "--goodness-scale", type=float, metavar="NUMBER", help="multiplies the goodness"
    )
    objective.add_argument("--loss", metavar="NAME", help=_names(losses))
    objective.add_argument(
        "--alpha", type=_number_or_name, metavar="NUMBER", help="steepness of symba, label_softmax"
    )
    objective.add_argument(
        "--threshold",
        type=_numbers_or_name,
        metavar="NUMBER[,NUMBER…]",
        help="of the logistic loss, for all layers or each; auto, learned",
    )
    objective.add_argument(
        "--margin",
        type=_numbers_or_name,
        metavar="NUMBER[,NUMBER…]",
        help="of the logistic loss, for all layers or each",
    )
    objective.add_argument("--negatives", metavar="NAME", help=_names(negatives))
    objective.add_argument("--negatives-count", type=int, metavar="N", help="negatives a sample")

    learning = parser.add_argument_group("training")
    learning.add_argument("--layer-schedule", metavar="NAME", help=_names(layer_schedules))
    learning.add_argument("--epochs", type=int, metavar="N", help="epochs in all")
    learning.add_argument("--batch-size", type=int, metavar="N", help="samples a step")
    learning.add_argument(
        "--learning-rate",
        type=_numbers_or_name,
        metavar="RATE[,RATE…]",
        help="of Adam: constant for half of the steps, then falling to 0",
    )
    learning.add_argument(
        "--weight-averaging", type=float, metavar="MOMENTUM", help="of averaged weights; 0: none"
    )
    learning.add_argument(
        "--dtype-policy", metavar="NAME", help="float32, mixed_bfloat16 or another of Keras"
    )
    learning.add_argument("--seed", type=int, metavar="N", help="decides all that is random")


def _add_evaluate(commands):
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on a dataset's test set",
        description="Accuracy, accuracy of each class and confusion matrix on a test set.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.set_defaults(command=evaluate)
    parser.add_argument("model", metavar="MODEL", help="a .keras file, or the folder of a run")
    parser.add_argument(
        "--dataset", metavar="NAME", help="default: the one the model was trained on, or digits"
    )
    parser.add_argument("--data-dir", metavar="FOLDER", help="TFDS's folder of prepared datasets")
    parser.add_argument("--batch-size", type=int, metavar="N", help="samples at once")
    parser.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="print the keys of a run's metrics.json, as JSON",
    )


def _add_bench(commands):
    parser = commands.add_parser(
        "bench",
        help="measure speed and memory beside backpropagation and the least possible",
        description=(
            "Each side's work is timed in turns in this process, and the median is taken. `ours`, "
            "`floor` (the bare products and one update) and `backprop` are rates; ratio_to_floor "
            "is our rate as a share of the floor's, ratio_to_backprop our time as a multiple of "
            "backpropagation's."
        ),
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.set_defaults(command=bench)
    parser.add_argument(
        "names", nargs="+", choices=BENCHES, metavar="NAME", help=", ".join(BENCHES)
    )
    parser.add_argument(
        "--json", dest="json_file", type=pathlib.Path, metavar="FILE", help="write the rows there"
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"how often a side is timed ({', '.join(TIMED)})"
    )


def _names(module):
    return ", ".join(module.KNOWN)


def _integers(text):
    """An integer, or a tuple of them where there are commas."""
    numbers = tuple(int(word) for word in text.split(","))
    return numbers if "," in text else numbers[0]


def _number_or_name(text):
    """A float where the text is one; otherwise a name, for the library to judge."""
    try:
        return float(text)
    except ValueError:
        return text


def _numbers_or_name(text):
    if "," in text:
        return tuple(float(word) for word in text.split(","))
    return _number_or_name(text)


_integers.__name__ = "integer or list of integers"
_numbers_or_name.__name__ = "number or list of numbers"


if __name__ == "__main__":
    sys.exit(main())
