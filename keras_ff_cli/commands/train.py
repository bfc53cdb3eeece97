"""The options of `keras-ff train`."""

from keras_ff_cli import configuration, options
from keras_ff_cli.names import DISTRIBUTIONS


def add_to(commands):
    """Add `train` and its options to the parser's commands."""
    parser = options.add_command(
        commands,
        "train",
        "keras_ff.cli.train:train",
        "train a model, into a folder of its own",
        "Train a model into a folder of its own: model, metrics, pictures. Without options: "
        "scikit-learn's digits, within a minute. Defaults are those that suit the dataset.",
    )
    given = parser.add_mutually_exclusive_group()
    given.add_argument(
        "--preset",
        metavar="NAME",
        help="by the recipe of a preset, from new weights; options given as well change it",
    )
    given.add_argument(
        "--config",
        type=options.path,
        metavar="FILE",
        help="by a JSON file such as a run's config.json, whose `model` may be a serialised "
        "FFModel; options given as well change it",
    )
    configuration.add_to(parser)
    run = parser.add_argument_group("run")
    run.add_argument(
        "--out",
        type=options.path,
        metavar="FOLDER",
        help="where the run is kept (default: a new folder in runs/)",
    )
    run.add_argument(
        "--distribution",
        metavar="NAME",
        help=f"{' or '.join(DISTRIBUTIONS)}: all devices of this machine, or of several",
    )
    run.add_argument(
        "--tensorboard",
        action="store_true",
        help="show every layer in TensorBoard, from the run's folder `tensorboard`",
    )
    run.add_argument(
        "--resume", action="store_true", help="resume the run in --out where it was interrupted"
    )
