"""Pictures of a search. Each function returns a `matplotlib.figure.Figure`, made without pyplot."""

import numpy as np

from keras_ff.tuning.space import SPACE

COLUMNS = 3
UNITS = {
    "threshold": "units of goodness",
    "margin": "units of goodness",
    "alpha": "1 / units of goodness",
    "dropout": "share",
}


def accuracy_map(results, x="threshold", y="margin"):
    """Validation accuracy of all trials over two hyperparameters.

    Args:
        results: list of `keras_ff.tuning.Result`.
        x, y: names of two numbers that were searched. Default to `"threshold"` and `"margin"`.

    Returns:
        A `matplotlib.figure.Figure`: a point for each trial, filled by its accuracy, with the
        figure beside it; crosses mark trials that failed, a ring the best.

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
    figure = _figure(7, 5)
    axes = figure.subplots()
    scores = [100 * one.score for one in shown]
    points = [[one.values[name] for one in shown] for name in (x, y)]
    filled = axes.scatter(*points, c=scores, cmap="viridis", s=90, edgecolors="black", zorder=2)
    figure.colorbar(filled, label="validation accuracy (%)")
    failed = [[one.values[name] for one in shown if one.failed] for name in (x, y)]
    if failed[0]:
        axes.scatter(*failed, marker="x", color="black", s=220, zorder=1, label="failed")
    best = max(shown, key=lambda one: one.score)
    axes.scatter(
        [best.values[x]],
        [best.values[y]],
        s=260,
        facecolors="none",
        edgecolors="black",
        label=f"best: {100 * best.score:.2f} %",
    )
    _scales(axes, x, y)
    axes.set_title(f"Accuracy of {len(shown)} trials")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


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
