"""Misclassified samples."""

import numpy as np

from keras_ff.visualization import style
from keras_ff.visualization.images import as_images

COLUMNS = 8


def misclassified(x, y, scores, number=24, class_names=None):
    """The misclassified samples of which the model was most sure.

    Args:
        x: array of shape (samples, height, width) or (samples, height, width, channels).
        y: integer array of shape (samples,), true classes.
        scores: array of shape (samples, classes), as from `model.predict(x)`.
        number: integer, how many are shown at most. Defaults to `24`.
        class_names: list of strings, a name for each class. Defaults to `None`: their numbers.

    Returns:
        A `matplotlib.figure.Figure`: above each sample its true and predicted class, ordered by
        how far the predicted class's score lies above that of the true class.

    Raises:
        ValueError: if the samples are no images, none is misclassified, or the names are not one
            per class.

    Example:

    >>> x = np.random.rand(2, 8, 8, 1)
    >>> figure = misclassified(x, np.array([0, 1]), np.array([[0.1, 0.9], [0.2, 0.8]]))
    >>> figure.axes[0].get_title()
    '0 → 1'
    """
    x, y, scores = np.asarray(x), np.asarray(y).reshape(-1), np.asarray(scores)
    names = style.class_names_of(class_names, scores.shape[1])
    images = as_images(x)
    order = most_surely_wrong(y, scores)
    if not len(order):
        raise ValueError(
            f"There is nothing to draw. Received: {len(y)} samples, none of them misclassified"
        )
    shown = order[:number]
    columns = min(COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = style.new_figure(max(4.0, 1.15 * columns), 0.7 + 1.35 * rows)
    for index, axes in zip(shown, style.grid(figure, len(shown), columns), strict=True):
        axes.imshow(images[index].squeeze(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        predicted = int(np.argmax(scores[index]))
        axes.set_title(f"{names[y[index]]} → {names[predicted]}", fontsize=9)
        axes.set_axis_off()
    figure.suptitle(
        f"{len(shown)} of {len(order)} misclassified samples of {len(y)}: true → predicted class"
    )
    return figure


def most_surely_wrong(y, scores):
    """Indices of the misclassified samples, the surest one first.

    Example:

    >>> scores = np.array([[0.0, 0.5], [0.0, 0.9], [1.0, 0.0]])
    >>> most_surely_wrong(np.array([0, 0, 0]), scores).tolist()
    [1, 0]
    """
    margin = scores.max(axis=1) - np.take_along_axis(scores, y[:, np.newaxis], axis=1)[:, 0]
    wrong = np.flatnonzero(np.argmax(scores, axis=1) != y)
    return wrong[np.argsort(-margin[wrong], kind="stable")]
