"""Positive, negative and neutral samples, as images."""

import numpy as np

from keras_ff.negatives import HybridImages
from keras_ff.visualization import style
from keras_ff.visualization.images import as_images, separate_label, stretched

# Height of a label beside a sample, and of the space about it, as shares of the sample's height.
STRIP, SPACE = 0.15, 0.07
PIXELS_PER_CLASS = 2
# Neither black nor white, which stand for something.
PAPER = 0.75


def samples(model, x, y=None, number=10, class_names=None, seed=0):
    """Positive, negative and neutral samples, as the first layer is given them.

    Args:
        model: an `FFModel` for images.
        x: array of shape (samples, height, width) or (samples, height, width, channels).
        y: array of their labels, integers. Defaults to `None`, for models that learn without.
        number: integer, how many samples are shown at most, the first ones. Defaults to `10`.
        class_names: list of strings, a name for each class. Defaults to `None`: their numbers.
        seed: integer, of the negatives. Defaults to `0`.

    Returns:
        A `matplotlib.figure.Figure` with a column for each sample and a row for each kind. A label
        that stands beside the sample is drawn as a strip below it, one cell per class; one that is
        a further channel is drawn below it.

    Raises:
        ValueError: if the samples are no images, or the names are not one per class.

    Example:

    >>> x, y = np.random.rand(12, 8, 8, 1), np.arange(12) % 10
    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> figure = samples(model, x, y)
    >>> figure.savefig("samples.png")
    """
    x = np.asarray(x)
    names = style.class_names_of(class_names, model.num_classes)
    # Hybrids are mixed of several samples, so that all are given, though fewer are shown.
    kinds = list(_kinds(model.samples(x, y, seed), model.negatives))
    number = min(number, len(x))
    images, labels = _apart([values[:number] for _, values in kinds], x.shape[1:], names)
    bands = [_band(*pair) for pair in zip(images, labels, strict=True)]
    sheet = np.concatenate(bands)
    height, width = sheet.shape[:2]
    inches = 0.95 * number
    figure = style.new_figure(inches + 1.2, inches * height / width + 0.8)
    axes = figure.subplots()
    axes.imshow(sheet.squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    middles = np.cumsum([0, *map(len, bands[:-1])]) + images[0].shape[1] / 2
    axes.set_yticks(middles, [word for word, _ in kinds])
    axes.set_xticks([])
    title = "Samples as the first layer is given them"
    if y is not None:
        title += ", by class"
        shown = [names[int(label)] for label in np.asarray(y).reshape(-1)[:number]]
        axes.xaxis.tick_top()
        axes.set_xticks((np.arange(number) + 0.5) * width / number, shown)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    figure.suptitle(title)
    return figure


def _apart(kinds, shape, names):
    """Images of all kinds, stretched alike, and what stands of the labels beside them."""
    pairs = [separate_label(values, shape, len(names)) for values in kinds]
    if any(sample is None for sample, _ in pairs):
        raise ValueError(
            "Samples can be drawn where their label stands in them, behind their pixels or in a "
            f"channel of its own. Received: samples of shape {tuple(shape)} that are given to the "
            f"first layer as {kinds[0].shape[1:]}"
        )
    images = as_images(np.concatenate([sample for sample, _ in pairs]))
    return np.split(images, len(pairs)), [label for _, label in pairs]


def _kinds(given, negatives):
    """Pairs of a word and the samples of that kind."""
    yield "positive", given["positive"]
    if "negative" in given:
        word = "negative\n(hybrid)" if isinstance(negatives, HybridImages) else "negative"
        yield word, given["negative"][0]
        yield "neutral", given["neutral"]


def _band(images, labels):
    """A row of the sheet: images side by side, each with its label below it if that is apart."""
    if labels is not None and labels.ndim == 2:  # strips that need room for all classes
        times = -(-PIXELS_PER_CLASS * labels.shape[1] // images.shape[2])
        images = images.repeat(times, axis=1).repeat(times, axis=2)
    columns = [_column(image, None) for image in images]
    if labels is not None:
        columns = [_column(*pair) for pair in zip(images, labels, strict=True)]
    return np.concatenate(columns, axis=1)


def _column(image, label):
    """An image, and below it the label that stands beside it, with a margin around both."""
    height, width, channels = image.shape
    parts = [image]
    if label is not None:
        label = stretched(label) if label.max() > label.min() else np.full_like(label, 0.5)
        if label.ndim == 1:  # a strip, every class a cell
            cells = np.arange(width) * len(label) // width
            label = np.repeat(label[np.newaxis, cells], max(2, round(STRIP * height)), axis=0)
        label = np.repeat(label[..., np.newaxis], channels, axis=-1)
        space = np.full((max(1, round(SPACE * height)), width, channels), PAPER)
        parts += [space, label]
    column = np.concatenate(parts)
    margin = max(1, round(SPACE * height))
    return np.pad(column, ((0, 2 * margin), (margin, margin), (0, 0)), constant_values=PAPER)
