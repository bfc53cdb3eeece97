"""`keras-ff reproduce`: train published tables again."""


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
