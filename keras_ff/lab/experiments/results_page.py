"""What came of the published tables: for a terminal, and as the page `RESULTS.md`."""

import dataclasses
import os
import pathlib
import statistics

from keras_ff import training
from keras_ff.lab.experiments import cells, tables
from keras_ff.lab.experiments.table import Cell
from keras_ff.utils import text_tables
from keras_ff.utils.files import path_of

PICTURES = pathlib.Path("docs/pictures")
# Curves of one row share a colour and a marker.
STROKES = {"class groups": "-", "contrastive": "--", "backpropagation": ":"}
LAST_NUMBERS = (
    "source test",
    "ours test",
    "difference",
    "validation",
    "training",
    "test loss",
    "epochs",
    "seconds",
    "seeds",
    "locality",
)
HEAD = """\
# Published tables, trained again

The tables below were published by others, but for the last; each published value stands beside
what keras_ff reaches.
`keras-ff reproduce TABLE` trains the cells of one, and `keras-ff reproduce --page RESULTS.md`
writes this page from the files in `results/`, which hold every cell's configuration, metrics,
versions and machine.

Accuracies are in percent. Settings were chosen on validation data, and the test set is read once
per cell, at the end. Locality is the number of trainable matrices that a gradient passes at most: 1
is strictly local; a dash stands for all of them. Losses of different families are not comparable.
Seconds are those of training, validation after every epoch included, on machines that the files
name, where other work may have run as well; a row of one seed is one run.
"""


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """What the runs of a cell came to, one per seed, as `cells.reproduce` writes them."""

    cell: Cell
    runs: list

    def percent(self, part):
        """Mean accuracy over the seeds, of `"training"`, `"validation"` or `"test"` samples."""
        return 100 * statistics.fmean(run[part]["accuracy"] for run in self.runs)

    def row(self, rows):
        """A row of the table, a dictionary of strings; `rows` is the name of the first column."""
        cell = self.cell
        texts = {rows: cell.row, "family": cell.family}
        published = "–" if cell.published is None else f"{cell.published:.2f}"
        texts["source test"] = cell.published_text or published
        if not self.runs:
            return {**texts, **dict.fromkeys(LAST_NUMBERS[1:], "–")}
        test = f"{self.percent('test'):.2f}"
        if len(self.runs) > 1:
            spread = statistics.stdev(100 * run["test"]["accuracy"] for run in self.runs)
            test += f" ± {spread:.2f}"
        return {
            **texts,
            "ours test": test,
            "difference": self._difference(),
            "validation": f"{self.percent('validation'):.2f}",
            "training": f"{self.percent('training'):.2f}",
            "test loss": self._test_loss(),
            "epochs": str(self.runs[0]["epochs"]),
            "seconds": f"{statistics.fmean(run['seconds'] for run in self.runs):,.0f}",
            "seeds": str(len(self.runs)),
            "locality": str(self.runs[0]["locality"] or "–"),
        }

    def _difference(self):
        if self.cell.published is None:
            return "–"
        return f"{self.percent('test') - self.cell.published:+.2f}"

    def _test_loss(self):
        losses = [run["test"]["loss"] for run in self.runs]
        return "no number" if None in losses else f"{statistics.fmean(losses):.3f}"


def reproductions(table, folder=cells.RESULTS, budget="full"):
    """What came of every cell of a table so far, a list of `Reproduction`."""
    found = []
    for cell in table.cells:
        first = cells.path_of(table, cell, 0, budget, folder)
        paths = sorted(first.parent.glob(f"{cell.name}-seed_*.json"))
        found.append(Reproduction(cell, [training.read_json(path) for path in paths]))
    return found


def text(table, folder=cells.RESULTS, budget="full"):
    """A table for a terminal."""
    rows = [one.row(table.rows) for one in reproductions(table, folder, budget)]
    return text_tables.plain(rows, LAST_NUMBERS)


def write(path, folder=cells.RESULTS, pictures=None):
    """Write the page, and a picture for each table, by default into `docs/pictures` beside it."""
    path = path_of(path)
    pictures = path.parent / PICTURES if pictures is None else path_of(pictures)
    pictures.mkdir(parents=True, exist_ok=True)
    for name in tables.TABLES:
        found = reproductions(tables.get(name), folder)
        if any(one.runs for one in found):
            _picture(found).savefig(_picture_path(name, pictures), dpi=80)
    path.write_text(markdown(folder, os.path.relpath(pictures, path.parent)), encoding="utf-8")


def markdown(folder=cells.RESULTS, pictures=PICTURES):
    """The page, a string, with links to `pictures` as seen from it."""
    parts = [HEAD]
    for name in tables.TABLES:
        table = tables.get(name)
        found = reproductions(table, folder)
        parts.append(f"## {table.title}\n\n{table.source}. {table.remarks}\n")
        parts.append(f"`keras-ff reproduce {name}`\n")
        rows = [one.row(table.rows) for one in found]
        parts.append(text_tables.markdown(rows, LAST_NUMBERS))
        if any(one.runs for one in found):
            picture = _picture_path(name, pathlib.Path(pictures)).as_posix()
            parts.append(f"![{table.title}: the source's values and ours]({picture})\n")
    return "\n".join(parts)


def _picture_path(name, pictures):
    return pictures / f"table_{name}.png"


def _picture(found):
    """The source's values and ours, and how validation accuracy rose."""
    from keras_ff.visualization import style

    figure = style.new_figure(11, 1.6 + 0.28 * len(found))
    test, curves = figure.subplots(1, 2)
    places = range(len(found))
    published = [(a.cell.published, n) for n, a in enumerate(found) if a.cell.published is not None]
    if published:
        look = {"color": style.COLORS[1], "markerfacecolor": "none"}
        test.plot(*zip(*published, strict=True), "D", label="source", **look)
    reached = [(a.percent("test"), place) for place, a in enumerate(found) if a.runs]
    test.plot(*zip(*reached, strict=True), "o", color=style.COLORS[0], label="keras_ff")
    test.set_yticks(places, [f"{one.cell.row}, {one.cell.family}" for one in found])
    test.set_ylim(len(found) - 0.5, -0.5)
    test.set(title="Test accuracy", xlabel="accuracy (%)")
    test.grid(alpha=0.3)
    style.legend_below(test)
    rows = list(dict.fromkeys(one.cell.row for one in found))
    for one in (one for one in found if one.runs):
        rising = [100 * value for value in one.runs[0]["validation_accuracy_by_epoch"]]
        row = rows.index(one.cell.row)
        curves.plot(
            range(1, len(rising) + 1),
            rising,
            color=style.COLORS[row % len(style.COLORS)],
            marker=style.MARKERS[row % len(style.MARKERS)],
            markersize=4,
            markevery=max(1, len(rising) // 10),
            linestyle=STROKES[one.cell.family],
            label=f"{one.cell.row}, {one.cell.family}",
        )
    curves.set(title="Validation accuracy, first seed", xlabel="epoch", ylabel="accuracy (%)")
    style.whole_numbers(curves.xaxis)
    curves.grid(alpha=0.3)
    curves.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")
    return figure
