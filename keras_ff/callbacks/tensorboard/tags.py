"""Names of what TensorBoard shows: `layer_2/goodness separation`, grouped by layer."""

import math
import re

# Without parentheses, at which custom scalars part a tag from its run.
LOSS = "loss"
POSITIVE = "positive goodness"
NEGATIVE = "negative goodness"
SEPARATION = "goodness separation"
PAIR_ACCURACY = "pair accuracy"
LEARNING_RATE = "learning rate"
ACCURACY_ALONE = "accuracy alone"
ACCURACY_TOGETHER = "accuracy with layers below"
DEAD = "share of dead units"
SATURATED = "share of saturated activities"

# What a layer's metrics are called in logs.
IN_LOGS = {
    "loss": LOSS,
    "positive_goodness": POSITIVE,
    "negative_goodness": NEGATIVE,
    "pair_accuracy": PAIR_ACCURACY,
    "pairs_told_apart": PAIR_ACCURACY,  # its former name, in logs until keras_ff 0.3.0
    # Class groups:
    "goodness": POSITIVE,
    "accuracy": ACCURACY_ALONE,
}


def of_layer(number, metric):
    """The tag of a layer's metric; layers are counted from 1."""
    return f"layer_{number}/{metric}"


def of_model(logs):
    """The logs without those of single layers."""
    return {name: value for name, value in logs.items() if "/" not in name}


def layer_scalars(logs):
    """Metrics of every layer in the logs, by tag, and the goodness separation; nan are left out.

    Example:

    >>> logs = {"loss": 1.0, "layer_1/positive_goodness": 2.0, "layer_1/negative_goodness": 0.5}
    >>> layer_scalars(logs)["layer_1/goodness separation"]
    1.5
    """
    scalars = {}
    for name, value in logs.items():
        found = re.fullmatch(r"layer_(\d+)/(\w+)", name)
        if found and not math.isnan(float(value)):
            number, metric = found.groups()
            metric = IN_LOGS.get(metric, metric.replace("_", " "))
            scalars[of_layer(number, metric)] = float(value)
    for tag in list(scalars):
        layer, metric = tag.split("/")
        negative = f"{layer}/{NEGATIVE}"
        if metric == POSITIVE and negative in scalars:
            scalars[f"{layer}/{SEPARATION}"] = scalars[tag] - scalars[negative]
    return scalars


def measured_scalars(measured):
    """What was measured of every layer, by tag; what is not known is left out."""
    scalars = {}
    accuracies = zip(measured.accuracy_alone(), measured.accuracy_of_first(), strict=True)
    for layer, (alone, together) in zip(measured.layers, accuracies, strict=True):
        metrics = {
            POSITIVE: float(layer.positive_goodness.mean()),
            NEGATIVE: float(layer.negative_goodness.mean()),
            SEPARATION: layer.separation,
            PAIR_ACCURACY: layer.pair_accuracy,
            ACCURACY_ALONE: alone,
            ACCURACY_TOGETHER: together,
            DEAD: layer.dead_share,
            SATURATED: layer.saturated_share,
        }
        for metric, value in metrics.items():
            if not math.isnan(value):
                scalars[of_layer(layer.number, metric)] = value
    return scalars
