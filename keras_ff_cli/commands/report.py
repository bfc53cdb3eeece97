"""The options of `keras-ff report`."""

from keras_ff_cli import options


def add_to(commands):
    """Add `report` and its options to the parser's commands."""
    parser = options.add_command(
        commands,
        "report",
        "keras_ff.cli.report:report",
        "write a page about a run or a preset, pictures included",
        "Write one HTML page about a run or a preset: configuration, curves, every layer's "
        "metrics, separation, confusion and misclassified samples. It loads no other file.",
    )
    parser.add_argument(
        "run_or_preset", metavar="RUN_DIR", help="the folder of a run, or the name of a preset"
    )
    parser.add_argument(
        "--out",
        type=options.path,
        metavar="FILE",
        help="where the page is written (default: report.html in the run's folder, NAME.html here)",
    )
    parser.add_argument("--data-dir", **options.DATA_DIR)
