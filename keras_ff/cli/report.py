"""`keras-ff report`: one page about a run or a preset."""

from keras_ff.cli import options


def report(run_or_preset, out=None, data_dir=None):
    """Write the page and say where it is."""
    from keras_ff import report

    print(f"Report: {report.write(run_or_preset, out, data_dir)}")


def add_to(commands):
    """Add `report` and its options to the parser's commands."""
    parser = options.add_command(
        commands,
        "report",
        report,
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
