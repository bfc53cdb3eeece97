"""Pictures of a search. Each function returns a `matplotlib.figure.Figure`, made without pyplot."""

import matplotlib.colors
import matplotlib.tri
import numpy as np

from keras_ff.tuning.space import SPACE

COLUMNS = 3
# From dark to bright, so that a print in grey tells as much.
MAP = "viridis"
MARKED = {"facecolors": "white", "edgecolors": "black", "zorder": 3}
UNITS = {
    "threshold": "units of goodness",
    "margin": "units of goodness",
    "goodness_scale": "no unit",
    "alpha": "1 / units of goodness",
    "peer_normalization": "no unit",
    "label_strength": "share of the sample's energy",
    "negatives_count": "a sample",
    "learning_rate": "no unit",
    "dropout": "share",
    "width": "units per layer",
    "depth": "layers",
    "batch_size": "samples",
}


def accuracy_map(results, x="threshold", y="margin"):
    """Validation accuracy of all trials over two hyperparameters.

    Args:
        results: list of `keras_ff.tuning.Result`.
        x, y: names of two numbers that were searched. Default to `"threshold"` and `"margin"`.

    Returns:
        A `matplotlib.figure.Figure`: a point for each trial, filled by its accuracy, over a map
        that is linear between neighbouring points; crosses mark trials that failed, a star the
        best. Where several trials have the same two values, the best of them counts.

    Raises:
        ValueError: if no trial has both.

    Example:

    >>> from keras_ff.tuning import Result
    >>> values = {"threshold": 0.5, "margin": 0.1}
    >>> figure = accuracy_map([Result("0", values, None, 0.9, False)])
    >>> figure.savefig("accuracy_map.png")
    """
    shown = [one for one in results if _is_number(one, x) and _is_number(one, y)]
    if not shown:
        raise ValueError(f"No trial has numbers for both. Received: x={x!r}, y={y!r}")
    shown = _best_in_each_place(shown, x, y)
    figure = _figure(7, 5)
    axes = figure.subplots()
    axes.use_sticky_edges = False  # points at the edge of the map are shown whole
    scores = np.array([100 * one.score for one in shown])
    points = [[one.values[name] for one in shown] for name in (x, y)]
    _scales(axes, x, y)
    shades = matplotlib.colors.Normalize(scores.min(), scores.max())
    _shaded(axes, points, scores, shades)
    filled = axes.scatter(
        *points, c=scores, cmap=MAP, norm=shades, s=90, edgecolors="black", zorder=2
    )
    figure.colorbar(filled, label="validation accuracy (%)")
    failed = [[one.values[name] for one in shown if one.failed] for name in (x, y)]
    if failed[0]:
        axes.scatter(*failed, marker="X", s=90, label="failed", **MARKED)
    best = max(shown, key=lambda one: one.score)
    axes.scatter(
        [best.values[x]],
        [best.values[y]],
        marker="*",
        s=260,
        **MARKED,
        label=f"best: {100 * best.score:.2f} %",
    )
    axes.set_title(f"Accuracy of {len(shown)} trials")
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _best_in_each_place(results, x, y):
    found = {}
    for one in results:
        place = one.values[x], one.values[y]
        if place not in found or one.score > found[place].score:
            found[place] = one
    return list(found.values())


def _shaded(axes, points, scores, shades):
    """The map between the points, on the scales of the axes."""
    flat = axes.transScale.transform(np.column_stack(points))
    extent = flat.max(axis=0) - flat.min(axis=0)
    if len(flat) < 3 or not extent.all():
        return
    try:
        mesh = matplotlib.tri.Triangulation(*(flat / extent).T)
    except RuntimeError:  # all on one line
        return
    triangles = matplotlib.tri.Triangulation(*points, triangles=mesh.triangles)
    axes.tricontourf(triangles, scores, levels=40, cmap=MAP, norm=shades, zorder=0)


def effects(results):
    """Validation accuracy of all trials against each hyperparameter by itself.

    Args:
        results: list of `keras_ff.tuning.Result`.

    Returns:
        A `matplotlib.figure.Figure` with axes for each hyperparameter.

    Raises:
        ValueError: if there are no trials with a score.

    Example:

    >>> from keras_ff.tuning import Result
    >>> values = {"threshold": 0.5, "activation": "relu"}
    >>> figure = effects([Result("0", values, None, 0.9, False)])
    >>> [axes.get_xlabel() for axes in figure.axes]
    ['threshold (units of goodness)', 'activation']
    """
    results = [one for one in results if one.score is not None]
    if not results:
        raise ValueError("There are no trials to draw. Received: no results with a score")
    names = list(dict.fromkeys(name for one in results for name in one.values))
    rows = -(-len(names) // COLUMNS)
    columns = min(len(names), COLUMNS)
    figure = _figure(1 + 3.6 * columns, 0.6 + 3 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).flat
    for axes, name in zip(grid, names, strict=False):
        shown = [one for one in results if name in one.values]
        values = [one.values[name] for one in shown]
        if not all(_is_number(one, name) for one in shown):
            values = list(map(str, values))
        for kind, marker in ((False, "o"), (True, "x")):
            chosen = [index for index, one in enumerate(shown) if one.failed is kind]
            if not chosen:  # which a logarithmic axis refuses
                continue
            axes.scatter(
                [values[index] for index in chosen],
                [100 * shown[index].score for index in chosen],
                marker=marker,
                color="#0072b2" if marker == "o" else "black",
                label="failed" if kind else "trial",
            )
        _scales(axes, name, None)
        axes.grid(alpha=0.3)
    for axes in grid[len(names) :]:
        axes.set_axis_off()
    for row in range(rows):
        grid[row * columns].set_ylabel("validation accuracy (%)")
    figure.suptitle(f"What each hyperparameter does, over {len(results)} trials")
    by_name = {}
    for axes in figure.axes:
        by_name.update(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    names, marks = by_name.keys(), by_name.values()
    figure.legend(marks, names, loc="outside lower center", ncols=2, frameon=False)
    return figure


def _figure(width, height):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _is_number(result, name):
    value = result.values.get(name)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and result.score is not None and np.isfinite(value)


def _scales(axes, x, y):
    """Labels, and logarithmic axes where the search was."""
    for name, axis in ((x, "x"), (y, "y")):
        if name is None:
            continue
        one = name.rstrip("0123456789").rstrip("_")  # a layer's own
        unit = UNITS.get(one)
        axes.set(**{f"{axis}label": name if unit is None else f"{name} ({unit})"})
        if getattr(SPACE.get(one), "logarithmic", False):
            axes.set(**{f"{axis}scale": "log"})
            _plain_ticks(getattr(axes, f"{axis}axis"), *getattr(axes, f"get_{axis}lim")())


def _plain_ticks(axis, lowest, highest):
    """Few numbers along a logarithmic axis, since those of matplotlib may cover one another."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if highest < 10 * lowest else (1, 3)))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())
