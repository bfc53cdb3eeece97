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
OF_RUNS = (
    "architecture",
    "images",
    "varied by",
    "epochs",
    "locality",
    "test",
    "difference",
    "validation",
    "training",
    "losses",
    "seconds",
    "seeds",
)
OF_SOURCE = ("validation", "training", "losses")
NUMBERS = (
    "images",
    "epochs",
    "source epochs",
    "locality",
    "source test",
    *(f"source {name}" for name in OF_SOURCE),
    *("test", "difference", "validation", "training", "losses", "seconds", "seeds"),
)
HEAD = """\
# Published tables, trained again

The tables below were published by others, but for the last; each published value stands beside
what keras_ff reaches. `keras-ff reproduce TABLE` trains the cells of one, `--budget full` for as
long and on as much as the source did. `keras-ff reproduce --page RESULTS.md` writes this page from
the files in `results/`, which hold every cell's configuration, curves, metrics, versions and
machine.

Recipes *as published* keep the source's network, loss, data and settings as far as it tells them,
to see what they give; where the source trained for longer, rates fall within our epochs as they did
within its own. *Ours* are of the same kind of network and data. What else differs stands in each
row: networks, training images, how these vary, epochs, family and locality, the number of trainable
matrices that a gradient passes at most, of which 1 is strictly local and a dash stands for all.

Accuracies and differences are in percent; of several seeds they are means, beside a standard
deviation. Losses are those of training, validation and test data; they are cross-entropies of
probabilities for recipes as published, else the sums of the layers' losses, which are not
comparable between families. Settings were chosen on validation data, and the test set is read once
per cell, at the end. Seconds are those of training, validation included, on machines that the files
name, where other work may have run as well.
"""


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """What the runs of a cell came to, one per seed, as `cells.reproduce` writes them."""

    cell: Cell
    runs: list

    @property
    def label(self):
        """What the cell is called in pictures."""
        own = f", {self.cell.recipe}" if self.cell.as_published else ""
        return f"{self.cell.row}, {self.cell.family}{own}"

    def percent(self, part):
        """Mean accuracy over the seeds, of `"training"`, `"validation"` or `"test"` samples."""
        return 100 * statistics.fmean(run[part]["accuracy"] for run in self.runs)

    def row(self, rows):
        """A row of the table, a dictionary of strings; `rows` is the name of the first column."""
        cell = self.cell
        published = "–" if cell.published is None else f"{cell.published:.2f}"
        texts = {
            rows: cell.row,
            "recipe": cell.recipe,
            "family": cell.family,
            **dict.fromkeys(OF_RUNS[:4], "–"),
            "source epochs": "–" if cell.source_epochs is None else f"{cell.source_epochs:,}",
            "locality": "–",
            "source test": cell.published_text or published,
            **{f"source {name}": cell.source_values.get(name, "–") for name in OF_SOURCE},
            **dict.fromkeys(OF_RUNS[5:], "–"),
        }
        if not self.runs:
            return texts
        run, config = self.runs[0], self.runs[0]["config"]
        test = f"{self.percent('test'):.2f}"
        if len(self.runs) > 1:
            spread = statistics.stdev(100 * run["test"]["accuracy"] for run in self.runs)
            test += f" ± {spread:.2f}"
        return {
            **texts,
            "architecture": run["network"],
            "images": f"{run['images']:,}",
            "varied by": _variations(config),
            "epochs": f"{run['epochs']:,}",
            "locality": str(run["locality"] or "–"),
            "test": test,
            "difference": self._difference(),
            "validation": f"{self.percent('validation'):.2f}",
            "training": f"{self.percent('training'):.2f}",
            "losses": " / ".join(self._loss(part) for part in cells.PARTS),
            "seconds": f"{statistics.fmean(run['seconds'] for run in self.runs):,.0f}",
            "seeds": str(len(self.runs)),
        }

    def _difference(self):
        if self.cell.published is None:
            return "–"
        if not self.cell.comparable:
            return "not comparable"
        return f"{self.percent('test') - self.cell.published:+.2f}"

    def _loss(self, part):
        losses = [run[part].get("cross_entropy", run[part]["loss"]) for run in self.runs]
        return "no number" if None in losses else f"{statistics.fmean(losses):.3f}"


def _variations(config):
    """How training images were varied, in words."""
    told = {
        "shift": "shift {}",
        "rotate": "rotation {:g}°",
        "flip": "flip",
        "crop": "crop {:g}",
        "colors": "colours {:g}",
        "erase": "erase {}",
    }
    found = [text.format(config[name]) for name, text in told.items() if config.get(name)]
    return ", ".join(found) or "–"


def reproductions(table, folder=cells.RESULTS, budget=cells.DEFAULT):
    """What came of every cell of a table so far, a list of `Reproduction`."""
    found = []
    for cell in table.cells:
        first = cells.path_of(table, cell, 0, budget, folder)
        paths = sorted(first.parent.glob(f"{cell.name}-seed_*.json"))
        found.append(Reproduction(cell, [training.read_json(path) for path in paths]))
    return found


def text(table, folder=cells.RESULTS, budget=cells.DEFAULT):
    """A table for a terminal."""
    found = reproductions(table, folder, budget)
    return text_tables.plain(_rows(table, found), NUMBERS)


def _rows(table, found):
    """Rows of a table, without the columns in which nothing is said of any."""
    rows = [one.row(table.rows) for one in found]
    empty = [name for name in rows[0] if all(row[name] == "–" for row in rows)]
    return [{name: row[name] for name in row if name not in empty} for row in rows]


def write(path, folder=cells.RESULTS, pictures=None):
    """Write the page, and a picture of what was trained of each table.

    Pictures go to the folder `pictures`, by default `docs/pictures` beside the page.
    """
    path = path_of(path)
    pictures = path.parent / PICTURES if pictures is None else path_of(pictures)
    pictures.mkdir(parents=True, exist_ok=True)
    for name in tables.TABLES:
        found = [one for one in reproductions(tables.get(name), folder) if one.runs]
        if found:
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
        parts.append(text_tables.markdown(_rows(table, found), NUMBERS))
        if layers := _layers(table, found):
            parts.append(layers)
        if any(one.runs for one in found):
            picture = _picture_path(name, pathlib.Path(pictures)).as_posix()
            shown = "test accuracy by row, the source's and ours; validation accuracy by epoch"
            parts.append(f"![{table.title}: {shown}, a panel per family]({picture})\n")
    return "\n".join(parts)


def _layers(table, found):
    """A table of the layers that were measured by themselves, or nothing."""
    rows = []
    for one in (one for one in found if one.runs and "layers" in one.runs[0]):
        for number, layer in enumerate(one.runs[0]["layers"], 1):
            rows.append(
                {
                    table.rows: one.cell.row,
                    "layer": str(number),
                    "accuracy": f"{100 * layer['accuracy']:.2f}",
                    "separation": f"{layer['separation']:.3f}",
                    "probe": f"{100 * layer['probe']:.2f}",
                }
            )
    if not rows:
        return ""
    numbers = ("layer", "accuracy", "separation", "probe")
    return f"Layer by layer, on validation images:\n\n{text_tables.markdown(rows, numbers)}"


def _picture_path(name, pictures):
    return pictures / f"table_{name}.png"


def _picture(found):
    """The source's values and ours, and how validation accuracy rose, a panel per family."""
    from keras_ff.visualization import style

    families = list(dict.fromkeys(one.cell.family for one in found))
    figure = style.new_figure(6 + 3 * len(families), max(3.5, 1.6 + 0.28 * len(found)))
    widths = [2, *[1] * len(families)]
    test, *curves = figure.subplots(1, 1 + len(families), width_ratios=widths)
    _draw_values(test, found)
    rows = list(dict.fromkeys(one.cell.row for one in found))
    drawn = {}
    for axes, family in zip(curves, families, strict=True):
        for one in (one for one in found if one.cell.family == family):
            rising = one.runs[0]["curves"]["val_accuracy"]
            measured = [(n, 100 * value) for n, value in enumerate(rising, 1) if value is not None]
            row = rows.index(one.cell.row)
            (drawn[one.cell.row],) = axes.plot(
                *zip(*measured, strict=True),
                color=style.COLORS[row % len(style.COLORS)],
                marker=style.MARKERS[row % len(style.MARKERS)],
                markersize=4,
                markevery=max(1, len(measured) // 10),
                linestyle=":" if one.cell.as_published else "-",
            )
        axes.set(title=family, xlabel="epoch")
        style.whole_numbers(axes.xaxis)
        axes.grid(alpha=0.3)
        axes.sharey(curves[0])
    curves[0].set_ylabel("validation accuracy, first seed (%)")
    look = {"frameon": False, "fontsize": "small"}
    figure.legend(drawn.values(), drawn, loc="outside right center", **look)
    return figure


def _draw_values(axes, found):
    """Test accuracy: the source's, and ours."""
    from keras_ff.visualization import style

    places = range(len(found))
    published = [(a.cell.published, n) for n, a in enumerate(found) if a.cell.published is not None]
    if published:
        look = {"color": style.COLORS[1], "markerfacecolor": "none"}
        axes.plot(*zip(*published, strict=True), "D", label="source", **look)
    reached = [(a.percent("test"), place) for place, a in enumerate(found)]
    axes.plot(*zip(*reached, strict=True), "o", color=style.COLORS[0], label="keras_ff")
    axes.set_yticks(places, [one.label for one in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set(title="Test accuracy", xlabel="accuracy (%)")
    axes.grid(alpha=0.3)
    style.legend_below(axes)
