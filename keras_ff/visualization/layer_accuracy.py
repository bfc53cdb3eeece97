"""Accuracy layer by layer: of each alone, and of the first ones together."""

import numpy as np

from keras_ff.visualization import style

# As a multiple of chance.
NEAR_CHANCE = 3


def layer_accuracy(measured):
    """Accuracy of each layer alone, and of the sum of the first layers' scores.

    Args:
        measured: `keras_ff.measurements.Measurements` of samples with labels.

    Returns:
        A `matplotlib.figure.Figure`. Layers that say nothing of classes have no point; a line
        marks chance where a layer comes near it.

    Raises:
        ValueError: if no layer says anything of classes, or there are no labels.

    Example:

    >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> model.build(x.shape)
    >>> figure = layer_accuracy(keras_ff.measurements.measure(model, x, y))
    >>> figure.axes[0].get_ylabel()
    'accuracy (%)'
    """
    alone = 100 * np.array(measured.accuracy_alone())
    together = 100 * np.array(measured.accuracy_of_first())
    if np.isnan(together).all():
        raise ValueError(
            "Accuracy needs labels, and layers that score classes: labels in the input, class "
            "groups, or a readout that was trained. Received: measurements without either"
        )
    numbers = [layer.number for layer in measured.layers]
    figure = style.new_figure(7, 4.5)
    axes = figure.subplots()
    axes.plot(numbers, together, "-o", color=style.COLORS[0], label="with all layers before it")
    axes.plot(numbers, alone, "--s", color=style.COLORS[1], label="alone", markerfacecolor="white")
    chance = 100 / measured.num_classes
    # Far below, it would press all that differs into one line.
    if np.nanmin([alone, together]) < NEAR_CHANCE * chance:
        axes.axhline(chance, color="black", linestyle=":", label="chance")
    what = "goodness" if measured.scores_are_goodness else "the readout's logits"
    axes.set(
        title=f"Accuracy by {what}, {len(measured.labels)} held-out samples",
        xlabel="layer",
        ylabel="accuracy (%)",
    )
    axes.margins(x=0.1, y=0.12)
    style.whole_numbers(axes.xaxis)
    axes.grid(alpha=0.3)
    style.legend_below(axes)
    return figure
