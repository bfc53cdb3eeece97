"""The options of `keras-ff reproduce`."""

from keras_ff_cli import options


def add_to(commands):
    """Add `reproduce` to the parser's commands."""
    parser = options.add_command(
        commands,
        "reproduce",
        "keras_ff.cli.reproduce:reproduce",
        "train the tables of RESULTS.md, beside published values",
        "Train the cells of a published table that have no result yet, and print the source's "
        "values, ours and their difference. Without a table: list them.",
    )
    parser.add_argument("table", nargs="?", metavar="TABLE", help="its name, as listed without it")
    names = {"dest": "names", "type": lambda text: text.split(","), "metavar": "NAME,…"}
    parser.add_argument("--cells", **names, help="these cells alone")
    budgets = "two_cores (default); full: the sources' own; quick: a tenth of the epochs"
    parser.add_argument("--budget", metavar="NAME", default="two_cores", help=budgets)
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N - 1 (default: 1)")
    parser.add_argument(
        "--resume", action="store_true", help="resume a training that was interrupted"
    )
    parser.add_argument(
        "--results", type=options.path, metavar="FOLDER", help="results (default: results)"
    )
    parser.add_argument(
        "--runs", type=options.path, metavar="FOLDER", help="trainings (default: runs/reproduce)"
    )
    parser.add_argument(
        "--page", type=options.path, metavar="FILE", help="write all tables to a page and exit"
    )
    parser.add_argument("--data-dir", **options.DATA_DIR)
