"""`keras-ff tune`: search for what trains best."""

from keras_ff.cli import printing, runs
from keras_ff.utils import text_tables


def tune(
    search,
    out=None,
    resume=False,
    data_dir=None,
    layer_wise=False,
    candidates=None,
    trials=None,
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
    folder = runs.new_folder(f"tune-{dataset or 'digits'}") if out is None else out
    names = [name.strip().replace("-", "_") for name in search.split(",")]
    if dataset is not None:
        chosen["dataset"] = dataset
    if any(name.startswith(("threshold", "margin")) for name in names):
        chosen.setdefault("loss", "logistic")
    base = recipes.TrainingConfig.for_dataset(
        layers=layers, units=units, data_dir=data_dir, **chosen
    )
    again = printing.command("--resume", "--out", folder)
    print(f"Search folder: {folder} (if interrupted: add {again})", flush=True)
    arguments = {"tuner": tuner, "resume": resume, "data_dir": data_dir}
    if trials is not None:
        arguments["trials"] = trials
    if candidates is not None:
        if not layer_wise:
            raise ValueError(
                "Candidates are those of a search layer by layer: add --layer-wise. "
                f"Received: --candidates {candidates}"
            )
        arguments["candidates"] = candidates
    if layer_wise:
        parts = tuning.tune_layers(base, names, folder, **arguments)
        for number, found in enumerate(parts, start=1):
            print(f"\nLayer {number} of {len(parts)}")
            _show(found, folder / f"layer_{number}")
    else:
        found = tuning.tune(base, names, folder, **arguments)
        if not found:
            print("The search is over; its chief has the results.")
            return
        _show(found, folder)
    best = found[0]
    print(f"\nBest: validation accuracy {100 * best.score:.2f} %.", end=" ")
    if not best.failed:
        print(f"Its network is the preset {folder / tuning.BEST}.", end=" ")
    print("Train layers like its own, all of them anew, by\n" if layer_wise else "Train it by\n")
    data = [] if data_dir is None else [printing.command("--data-dir", data_dir)]
    print(" ".join([best.config.command(), *data]))


def _show(found, folder):
    """Print a table of trials, and draw them."""
    from keras_ff import tuning

    print(_trials_table(found))
    tuning.effects(found).savefig(folder / "effects.png")
    if {"threshold", "margin"} <= set(found[0].values):
        tuning.accuracy_map(found).savefig(folder / "accuracy_map.png")


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _trials_table(found):
    """The trials of a search, best first: validation accuracy, and what was chosen."""
    names = list(dict.fromkeys(name for one in found for name in one.values))
    rows = []
    for one in found:
        score = "–" if one.score is None else f"{100 * one.score:.2f} %"
        row = {"trial": one.trial, "validation": score + (" (failed)" if one.failed else "")}
        rows.append(row | {name: _short(one.values.get(name, "–")) for name in names})
    return text_tables.plain(rows, rows[0])
