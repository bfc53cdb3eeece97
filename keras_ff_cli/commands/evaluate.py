"""The options of `keras-ff evaluate`."""

from keras_ff_cli import options


def add_to(commands):
    """Add `evaluate` and its options to the parser's commands."""
    parser = options.add_command(
        commands,
        "evaluate",
        "keras_ff.cli.evaluate:evaluate",
        "measure a model on a dataset's test set",
        "Accuracy, accuracy of each class and confusion matrix on a test set.",
    )
    parser.add_argument(
        "model", metavar="MODEL", help="a .keras file, the folder of a run, or a preset"
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help="default: the one the model was trained on, or digits"
    )
    parser.add_argument("--data-dir", **options.DATA_DIR)
    parser.add_argument("--batch-size", type=int, metavar="N", help="samples at once")
    parser.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="print the keys of a run's metrics.json, as JSON",
    )
