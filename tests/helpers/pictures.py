"""What is drawn, made up and rendered."""

import numpy as np

import keras_ff
from keras_ff import measurements

HISTORY = {
    "loss": [1.0, 0.9, 0.8],
    "layer_1/loss": [0.7, 0.5, 0.4],
    "layer_2/loss": [None, float("nan"), 0.6],
    "layer_10/loss": [0.3, 0.2, 0.1],
    "val_layer_1/loss": [0.8, 0.6, 0.5],
    "accuracy": [0.5, 0.75, 1.0],
    "val_accuracy": [0.25, 0.5, 0.75],
}


def rendered(figure):
    figure.draw_without_rendering()
    return figure


def layer_of(positive, negative, class_scores=None, number=1, threshold=None):
    """A layer as if it had been measured."""
    return measurements.LayerMeasurements(
        number=number,
        goodness_name="mean of squares",
        threshold=threshold,
        positive_goodness=np.asarray(positive, "float32"),
        negative_goodness=np.asarray(negative, "float32").reshape(len(positive), -1),
        class_scores=None if class_scores is None else np.asarray(class_scores, "float32"),
        activities=np.zeros(3, "float32"),
        unit_range=np.ones(4, "float32"),
        saturated_share=0.5,
    )


def measured_of(layers, labels, classes=3):
    return measurements.Measurements(
        layers=layers,
        labels=np.asarray(labels),
        num_classes=classes,
        bias=np.zeros(classes),
        class_groups=False,
        scores_are_goodness=True,
        stream_names=("positive (true label)", "negative (wrong label)"),
    )


LABELS = [0, 1, 2, 0]

FIRST = [[2, 0, 1], [0, 3, 0], [5, 0, 4], [1, 0, 0]]  # takes the third for class 0

SECOND = [[0, 1, 0], [0, 1, 0], [0, 0, 3], [0, 2, 0]]  # knows classes 1 and 2


def built(layers, shape, **arguments):
    model = keras_ff.FFModel(layers, 3, **arguments)
    model.compile()
    model.build((None, *shape))
    return model
