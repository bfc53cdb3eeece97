"""Accuracy and training time of several models."""

from keras_ff.visualization import style


def model_comparison(metrics):
    """Accuracy and seconds of training of several models.

    Args:
        metrics: dictionary from a model's name to its metrics, as a run's `metrics.json` holds
            them: `test_accuracy` and `validation_accuracy` as fractions, and `seconds`. What is
            missing or `None` is left out.

    Returns:
        A `matplotlib.figure.Figure`: a row for each model, in the order given from top to bottom.

    Raises:
        ValueError: if there is no model, or one has no accuracy.

    Example:

    >>> figure = model_comparison(
    ...     {
    ...         "greedy": {"test_accuracy": 0.96, "seconds": 81.0},
    ...         "simultaneous": {"test_accuracy": 0.98, "validation_accuracy": 0.97},
    ...     }
    ... )
    >>> figure.savefig("model_comparison.png")
    """
    kinds = {"test_accuracy": ("test", "o"), "validation_accuracy": ("validation", "s")}
    for name, values in metrics.items():
        if all(values.get(kind) is None for kind in kinds):
            raise ValueError(
                f"A comparison needs {' or '.join(map(repr, kinds))} of every model. "
                f"Received: {name!r} with {sorted(values)}"
            )
    if not metrics:
        raise ValueError("There is nothing to compare. Received: no models")
    rows = list(range(len(metrics)))
    timed = any(values.get("seconds") is not None for values in metrics.values())
    figure = style.new_figure(10 if timed else 6.5, 1.6 + 0.4 * len(rows))
    every = figure.subplots(1, 2 if timed else 1, squeeze=False, sharey=True)[0]
    accuracy = every[0]
    for index, (kind, (label, marker)) in enumerate(kinds.items()):
        found = [
            (100 * values[kind], row)
            for row, values in zip(rows, metrics.values(), strict=True)
            if values.get(kind) is not None
        ]
        if found:
            accuracy.plot(
                *zip(*found, strict=True),
                linestyle="none",
                marker=marker,
                markersize=8,
                markerfacecolor=style.COLORS[0] if index == 0 else "none",
                color=style.COLORS[index],
                label=label,
            )
    accuracy.set_yticks(rows, list(metrics))
    accuracy.set_ylim(len(rows) - 0.5, -0.5)
    accuracy.set(title="Accuracy", xlabel="accuracy (%)")
    accuracy.margins(x=0.1)
    accuracy.grid(alpha=0.3)
    if timed:
        seconds = every[1]
        values = [one.get("seconds") or 0.0 for one in metrics.values()]
        bars = seconds.barh(
            rows, values, height=0.6, facecolor="#dddddd", edgecolor="black", hatch="//"
        )
        texts = [
            "not known" if one.get("seconds") is None else f"{one['seconds']:.3g} s"
            for one in metrics.values()
        ]
        seconds.bar_label(bars, texts, padding=4)
        seconds.margins(x=0.2)
        seconds.set(title="Training", xlabel="time (s)")
        seconds.grid(alpha=0.3, axis="x")
    style.figure_legend(figure, accuracy)
    return figure
