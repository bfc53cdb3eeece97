"""Mean goodness of every label in each layer, by true class."""

import numpy as np

from keras_ff.visualization import style

LAYERS_PER_ROW = 3


def label_goodness(measured, class_names=None):
    """Mean goodness of every label for samples of every class, a matrix for each layer.

    Samples differ in goodness whatever their label, so the picture shows how far a label lies above
    the mean over all labels of the same sample. A layer that knows the classes has a bright
    diagonal; other bright cells are classes that it confuses.

    Args:
        measured: `keras_ff.measurements.Measurements` of samples with labels.
        class_names: list of strings, a name for each class. Defaults to `None`: their numbers.

    Returns:
        A `matplotlib.figure.Figure`. Rows are true classes, columns the labels that were tried;
        with a linear readout they show each layer's part of its logits instead of goodness.

    Raises:
        ValueError: if no layer says anything of classes, there are no labels, or the names are not
            one per class.

    Example:

    >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> model.build(x.shape)
    >>> figure = label_goodness(keras_ff.measurements.measure(model, x, y))
    >>> figure.savefig("label_goodness.png")
    """
    names = style.class_names_of(class_names, measured.num_classes)
    layers = [layer for layer in measured.layers if layer.class_scores is not None]
    if not layers or measured.labels is None:
        raise ValueError(
            "Goodness by label needs labels, and layers that score classes. "
            "Received: measurements without either"
        )
    columns = min(LAYERS_PER_ROW, len(layers))
    rows = -(-len(layers) // columns)
    figure = style.new_figure(4.4 * columns, 0.5 + 3.7 * rows)
    for layer, axes in zip(layers, style.grid(figure, len(layers), columns), strict=True):
        values = mean_by_class(layer.class_scores, measured.labels, measured.num_classes)
        drawn = style.matrix(axes, values, names)
        unit = "goodness" if measured.scores_are_goodness else "logit (nats)"
        figure.colorbar(drawn, ax=axes, shrink=0.75, label=f"{unit} above the sample's mean")
        axes.set(title=f"Layer {layer.number}", xlabel="label tried", ylabel="true class")
    figure.suptitle("Goodness of every label in each layer, by true class")
    return figure


def mean_by_class(scores, labels, num_classes):
    """Scores above each sample's own mean, averaged by true class; nan where there are no samples.

    Example:

    >>> print(mean_by_class(np.array([[3.0, 1.0], [2.0, 2.0]]), np.array([0, 0]), 2))
    [[ 0.5 -0.5]
     [ nan  nan]]
    """
    above = scores - scores.mean(axis=1, keepdims=True)
    matrix = np.full((num_classes, num_classes), np.nan)
    for label in np.unique(labels):
        matrix[label] = above[labels == label].mean(axis=0)
    return matrix
