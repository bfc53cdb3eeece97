"""Predicted classes by true class."""

import numpy as np

from keras_ff.visualization import style


def confusion_matrix(counts, class_names=None, title="Confusion matrix"):
    """How many samples of each true class were predicted as each class.

    Args:
        counts: integer array of shape (classes, classes), a row for every true class and a column
            for every predicted one, as `metrics.json` holds it and scikit-learn counts it.
        class_names: list of strings, a name for each class. Defaults to `None`: their numbers.
        title: string. Defaults to `"Confusion matrix"`.

    Returns:
        A `matplotlib.figure.Figure`: the cells hold numbers of samples, where there are any; their
        colour is the share of the true class's samples.

    Raises:
        ValueError: if the counts are no square matrix, or the names are not one per class.

    Example:

    >>> figure = confusion_matrix([[9, 1], [0, 10]], class_names=["cat", "dog"])
    >>> figure.savefig("confusion_matrix.png")
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(
            "A confusion matrix has a row and a column for every class. "
            f"Received: counts of shape {counts.shape}"
        )
    names = style.class_names_of(class_names, len(counts))
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 4.2 + 0.22 * min(len(counts), style.MOST_CLASSES_WITH_NUMBERS)
    figure = style.new_figure(side + 1, side)
    axes = figure.subplots()
    drawn = style.matrix(axes, shares, names, np.where(counts, counts.astype(str), ""))
    figure.colorbar(drawn, ax=axes, shrink=0.8, label="share of the true class's samples (%)")
    axes.set(title=title, xlabel="predicted class", ylabel="true class")
    return figure
