"""Pictures of a training: learning curves, and how far goodness tells positives from negatives.

Both functions return a `matplotlib.figure.Figure`, made without pyplot: nothing is shown, no state
is left behind, and no display is needed. Lines and areas differ in stroke and hatching as well as
in colour, so that a print in grey can be read.
"""

import numpy as np

# Colours that the colour-blind tell apart (Okabe and Ito 2008).
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
# One more than there are colours, so that it takes many layers until a pair comes again.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# A dark one and a light one.
POSITIVE_COLOR, NEGATIVE_COLOR = "#0072b2", "#e69f00"
MOST_BINS = 40
# Samples that go through the network at once.
BATCH = 250
# Pictures of networks with more layers than this have several rows.
LAYERS_A_ROW = 4


def learning_curves(history):
    """Loss of each layer and accuracy of the model, epoch by epoch.

    Args:
        history: dictionary from the name of a figure to its values, one an epoch, as
            `model.fit(...).history` or a run's `history.json` hold it. `None` and nan stand for
            epochs without the figure.

    Returns:
        A `matplotlib.figure.Figure`: on the left `layer_1/loss`, `layer_2/loss`, … in training
        and, where there are any, in validation; on the right `accuracy` and `val_accuracy`.

    Raises:
        ValueError: if the history holds no epochs, or neither losses nor accuracies.

    Example:

    >>> figure = learning_curves({"layer_1/loss": [0.7, 0.4], "accuracy": [0.5, 0.9]})
    >>> figure.savefig("learning_curves.png")
    """
    from matplotlib.figure import Figure

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
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for index, name in enumerate(layers):
        color, marker = COLORS[index % len(COLORS)], MARKERS[index % len(MARKERS)]
        _curve(left, epochs, history[name], f"layer {index + 1}", color, "-", marker)
        if f"val_{name}" in history:
            _curve(left, epochs, history[f"val_{name}"], None, color, ":", marker)
    left.set(title="Loss of each layer", xlabel="epoch", ylabel="loss (nats)")
    for name, label, color, stroke, marker in (
        ("accuracy", "training", COLORS[0], "-", "o"),
        ("val_accuracy", "validation", COLORS[1], ":", "s"),
    ):
        if name in history:
            _curve(right, epochs, 100 * history[name], label, color, stroke, marker)
    right.set(title="Accuracy", xlabel="epoch", ylabel="accuracy (%)")
    if any(f"val_{name}" in history for name in layers):
        left.plot([], [], color="black", linestyle="-", label="training")
        left.plot([], [], color="black", linestyle=":", label="validation")
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        _legend_below(axes)
    return figure


def goodness_separation(model, x, y, seed=0):
    """How each layer's goodness tells positive samples from negative ones.

    Args:
        model: a built `FFModel`.
        x: array of samples, held out from training.
        y: array of their labels, integers.
        seed: integer: of the wrong labels that make the negatives. Defaults to `0`.

    Returns:
        A `matplotlib.figure.Figure` with a histogram of positive and one of negative goodness for
        each layer, and the share of pairs in which the positive has more. For class groups these
        are the goodness of the true class and of the others. Where the loss has a threshold, a
        line marks it.

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
    from matplotlib.figure import Figure

    separations = _goodness_by_layer(model, x, y, seed)
    columns = min(len(separations), LAYERS_A_ROW)
    rows = -(-len(separations) // columns)
    figure = Figure(figsize=(1 + 3.6 * columns, 0.9 + 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flat
    for axes in grid[len(separations) :]:
        axes.set_axis_off()
    for index, (positive, negative) in enumerate(separations):
        layer, axes = model.ff_layers[index], grid[index]
        _histograms(axes, positive, negative)
        threshold = _threshold(layer)
        if threshold is not None:
            axes.axvline(threshold, color="black", linestyle="--", label="threshold")
        told_apart = 100 * np.mean(positive[:, np.newaxis] > negative)
        axes.set(
            title=f"Layer {index + 1}: {told_apart:.1f} % of pairs told apart",
            xlabel=f"goodness ({_what_goodness_is(layer)})",
        )
        if index % columns == 0:
            axes.set_ylabel("share of samples (%)")
    figure.suptitle(f"Goodness of {len(positive)} held-out samples")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def _goodness_by_layer(model, x, y, seed):
    """A pair for each layer: positive goodness (samples,), negative goodness (samples, several)."""
    import keras

    if len(x) == 0:
        raise ValueError(f"There are no samples to measure. Received: x of shape {np.shape(x)}")
    found = [([], []) for _ in model.ff_layers]
    for start in range(0, len(x), BATCH):
        labels = keras.ops.cast(keras.ops.convert_to_tensor(y[start : start + BATCH]), "int32")
        samples = keras.ops.convert_to_tensor(x[start : start + BATCH])
        embedded, streams = model.streams(samples, labels, seed=seed + start)
        of_layers = model.goodness_of(model.activities(embedded))
        for (positives, negatives), goodness in zip(found, of_layers, strict=True):
            goodness = keras.ops.convert_to_numpy(goodness)
            if model.class_groups:
                true = np.eye(model.num_classes, dtype=bool)[np.asarray(labels)]
                positives.append(goodness[true])
                negatives.append(goodness[~true].reshape(len(goodness), -1))
            else:
                goodness = goodness.reshape(streams, -1)
                positives.append(goodness[0])
                negatives.append(goodness[1:].T)
    return [tuple(np.concatenate(side) for side in sides) for sides in found]


def _histograms(axes, positive, negative):
    # A few samples far out would squeeze all others into one bar.
    both = np.concatenate([positive, negative.ravel()])
    low, high = np.quantile(both, [0.001, 0.999])
    num_bins = min(MOST_BINS, max(5, round(1.5 * np.sqrt(len(positive)))))
    bins = np.linspace(low, high if high > low else low + 1.0, num_bins + 1)
    for values, label, color, hatch in (
        (negative.ravel(), "negative (wrong label)", NEGATIVE_COLOR, "\\\\\\\\"),
        (positive, "positive (true label)", POSITIVE_COLOR, "////"),
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


def _legend_below(axes):
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=5, frameon=False)


def _threshold(layer):
    """A layer's threshold as a number, or None where its loss has none."""
    if layer.threshold is not None:
        return float(layer.threshold)
    if hasattr(layer.loss, "initial_threshold"):
        return layer.loss.initial_threshold()
    return None


def _what_goodness_is(layer):
    """The goodness in words: its class name, spaced."""
    name = type(layer.goodness).__name__
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return f"{words.strip()} of activities"
