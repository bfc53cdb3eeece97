"""How far each layer's goodness separates positives from negatives, as histograms."""

import numpy as np

from keras_ff.measurements import measure
from keras_ff.visualization import style

MOST_BINS = 40
# Pictures of networks with more layers than this have several rows.
LAYERS_PER_ROW = 4


def goodness_separation(model, x, y=None, seed=0):
    """How each layer's goodness separates positive samples from negative ones.

    Args:
        model: a built `FFModel`.
        x: array of samples, held out from training.
        y: array of their labels, integers. Defaults to `None`, for models that learn without.
        seed: integer: of the wrong labels or images that make the negatives. Defaults to `0`.

    Returns:
        A `matplotlib.figure.Figure` with a histogram of positive and one of negative goodness for
        each layer that has been trained, and the share of pairs in which the positive has more.
        For class groups these are the goodness of the true class and of the others. Where the
        loss has a threshold, a line marks it.

    Raises:
        ValueError: if there are no samples.

    Example:

    >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> model.compile(loss=keras_ff.losses.Logistic(threshold=2.0))
    >>> model.build(x.shape)
    >>> figure = goodness_separation(model, x, y)
    >>> figure.savefig("goodness_separation.png")
    """
    measured = measure(model, x, y, seed)
    layers = measured.layers
    columns = min(len(layers), LAYERS_PER_ROW)
    rows = -(-len(layers) // columns)
    figure = style.new_figure(1 + 3.6 * columns, 0.9 + 3.2 * rows)
    axes_of_layers = style.grid(figure, len(layers), columns)
    for index, (layer, axes) in enumerate(zip(layers, axes_of_layers, strict=True)):
        _histograms(axes, layer, *measured.stream_names)
        if layer.threshold is not None:
            axes.axvline(layer.threshold, color="black", linestyle="--", label="threshold")
        pair_accuracy = 100 * layer.pair_accuracy
        axes.set(
            title=f"Layer {layer.number}: pair accuracy {pair_accuracy:.1f} %",
            xlabel=f"goodness ({layer.goodness_name} of activities)",
        )
        if index % columns == 0:
            axes.set_ylabel("share of samples (%)")
    figure.suptitle(f"Goodness of {len(layers[0].positive_goodness)} held-out samples")
    style.figure_legend(figure, axes_of_layers[0])
    return figure


def _histograms(axes, layer, positive_name, negative_name):
    positive, negative = layer.positive_goodness, layer.negative_goodness.ravel()
    # A few samples far out would squeeze all others into one bar.
    low, high = np.quantile(np.concatenate([positive, negative]), [0.001, 0.999])
    num_bins = min(MOST_BINS, max(5, round(1.5 * np.sqrt(len(positive)))))
    bins = np.linspace(low, high if high > low else low + 1.0, num_bins + 1)
    for values, label, color, hatch in (
        (negative, negative_name, style.NEGATIVE_COLOR, style.NEGATIVE_HATCH),
        (positive, positive_name, style.POSITIVE_COLOR, style.POSITIVE_HATCH),
    ):
        axes.hist(
            np.clip(values, bins[0], bins[-1]),
            bins=bins,
            weights=np.full(values.size, 100 / values.size),
            histtype="stepfilled",
            facecolor=(color, 0.25),
            edgecolor=color,
            hatch=hatch,
            linewidth=1.2,
            label=label,
        )
    axes.grid(alpha=0.3)
