"""Densities of positive and negative goodness, a row for each layer."""

import numpy as np

from keras_ff.utils import extras
from keras_ff.visualization import style

POINTS = 200
# Share of the goodness at either end that is not shown.
LEFT_OUT = 0.001
# Drawn from at most this many values, which is as smooth.
MOST_VALUES = 2000


def goodness_densities(measured):
    """How positive and negative goodness are spread in every layer.

    The density of positives is drawn upwards, that of negatives downwards, each as a share of its
    own peak: where one stands above the other, the layer does not separate them.

    Args:
        measured: `keras_ff.measurements.Measurements`.

    Returns:
        A `matplotlib.figure.Figure` with a row for each layer. Dashed lines mark thresholds.

    Example:

    >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> model.build(x.shape)
    >>> figure = goodness_densities(keras_ff.measurements.measure(model, x, y))
    >>> figure.savefig("goodness_densities.png")
    """
    extras.require("Pictures of densities", "plot", "matplotlib", "scipy")
    layers = measured.layers
    figure = style.new_figure(8, 1.2 + 1.5 * len(layers))
    every = style.grid(figure, len(layers), 1)
    for layer, axes in zip(layers, every, strict=True):
        _densities(axes, layer, *measured.stream_names)
        if layer.threshold is not None:
            axes.axvline(layer.threshold, color="black", linestyle="--", label="threshold")
        axes.set_title(
            f"Layer {layer.number}: positive minus negative {layer.separation:+.3g}, "
            f"pair accuracy {100 * layer.pair_accuracy:.1f} %",
            fontsize=10,
        )
        axes.set_yticks([])
        axes.set_ylabel("density\n(of its peak)")
        axes.grid(alpha=0.3, axis="x")
    every[-1].set_xlabel(f"goodness ({layers[-1].goodness_name} of activities)")
    number = len(layers[0].positive_goodness)
    figure.suptitle(f"Goodness of {number} held-out samples")
    style.figure_legend(figure, every[0])
    return figure


def _densities(axes, layer, positive_name, negative_name):
    positive, negative = layer.positive_goodness, layer.negative_goodness.ravel()
    both = np.concatenate([positive, negative])
    points = np.linspace(*np.quantile(both, [LEFT_OUT, 1 - LEFT_OUT]), POINTS)
    for values, sign, label, color, hatch in (
        (positive, 1, positive_name, style.POSITIVE_COLOR, style.POSITIVE_HATCH),
        (negative, -1, negative_name, style.NEGATIVE_COLOR, style.NEGATIVE_HATCH),
    ):
        axes.fill_between(
            points,
            sign * _density(values, points),
            facecolor=(color, 0.25),
            edgecolor=color,
            hatch=hatch,
            linewidth=1.2,
            label=label,
        )
    axes.axhline(0, color="black", linewidth=0.8)


def _density(values, points):
    """The density of values at points, divided by its peak; zero where all are the same."""
    from scipy.stats import gaussian_kde

    values = values[:: max(1, len(values) // MOST_VALUES)].astype("float64")
    # Too narrow a spread cannot be inverted.
    if np.ptp(values) <= 1e-6 * max(1.0, np.abs(values).max()):
        return np.zeros(len(points))
    density = gaussian_kde(values)(points)
    return density / density.max()
