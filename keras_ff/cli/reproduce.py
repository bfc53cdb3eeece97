"""`keras-ff reproduce`: train published tables again."""

from keras_ff.cli import options


def reproduce(table=None, data_dir=None, page=None, results=None, runs=None, **chosen):
    """Train a table's cells and print what came of them; without a table, list all."""
    from keras_ff.lab.experiments import cells, results_page, tables

    results = results or cells.RESULTS
    if table is not None:
        found = tables.get(table)
        folders = {"folder": results, "runs": runs or cells.RUNS, "data_dir": data_dir}
        cells.reproduce(found, **chosen, **folders, tell=_say)
        print(results_page.text(found, results, chosen["budget"]))
    elif page is None:
        for name in tables.TABLES:
            one = tables.get(name)
            print(f"{name}: {one.title}. {one.source}. {len(one.cells)} cells")
    if page is not None:
        results_page.write(page, results)
        print(f"Written: {page}")


def _say(line):
    print(line, flush=True)


def add_to(commands):
    """Add `reproduce` to the parser's commands."""
    parser = options.add_command(
        commands,
        "reproduce",
        reproduce,
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
