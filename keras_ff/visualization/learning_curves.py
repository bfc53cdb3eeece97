"""Learning curves: loss of each layer and accuracy of the model, epoch by epoch."""

import numpy as np

from keras_ff.visualization import style


def learning_curves(history):
    """Loss of each layer and accuracy of the model, epoch by epoch.

    Args:
        history: dictionary from the name of a metric to its values, one per epoch, as
            `model.fit(...).history` or a run's `history.json` hold it. `None` and nan stand for
            epochs without the metric.

    Returns:
        A `matplotlib.figure.Figure`: on the left `layer_1/loss`, `layer_2/loss`, … in training
        and, where there are any, in validation; on the right `accuracy` and `val_accuracy`.

    Raises:
        ValueError: if the history holds no epochs, or neither losses nor accuracies.

    Example:

    >>> figure = learning_curves({"layer_1/loss": [0.7, 0.4], "accuracy": [0.5, 0.9]})
    >>> figure.savefig("learning_curves.png")
    """
    history = {name: np.array(values, "float64") for name, values in history.items()}
    layers = sorted(
        (name for name in history if name.startswith("layer_") and name.endswith("/loss")),
        key=lambda name: int(name.removeprefix("layer_").removesuffix("/loss")),
    )
    if not layers and "accuracy" not in history:
        raise ValueError(
            f"A history needs 'layer_1/loss' or 'accuracy' to be drawn. Received: {sorted(history)}"
        )
    epochs = 1 + np.arange(max(map(len, history.values())))
    if not len(epochs):
        raise ValueError("There is nothing to draw. Received: a history without epochs")
    figure = style.new_figure(11, 4.5)
    left, right = figure.subplots(1, 2)
    for index, name in enumerate(layers):
        color = style.COLORS[index % len(style.COLORS)]
        marker = style.MARKERS[index % len(style.MARKERS)]
        _curve(left, epochs, history[name], f"layer {index + 1}", color, "-", marker)
        if f"val_{name}" in history:
            _curve(left, epochs, history[f"val_{name}"], None, color, ":", marker)
    left.set(title="Loss of each layer", xlabel="epoch", ylabel="loss (nats)")
    for name, label, color, stroke, marker in (
        ("accuracy", "training", style.COLORS[0], "-", "o"),
        ("val_accuracy", "validation", style.COLORS[1], ":", "s"),
    ):
        if name in history:
            _curve(right, epochs, 100 * history[name], label, color, stroke, marker)
    right.set(title="Accuracy", xlabel="epoch", ylabel="accuracy (%)")
    if any(f"val_{name}" in history for name in layers):
        left.plot([], [], color="black", linestyle="-", label="training")
        left.plot([], [], color="black", linestyle=":", label="validation")
    for axes in (left, right):
        style.whole_numbers(axes.xaxis)
        axes.grid(alpha=0.3)
        style.legend_below(axes)
    return figure


def _curve(axes, epochs, values, label, color, stroke, marker):
    axes.plot(
        epochs[: len(values)],
        values,
        label=label,
        color=color,
        linestyle=stroke,
        marker=marker,
        markersize=4,
        markevery=max(1, len(epochs) // 10),
    )
