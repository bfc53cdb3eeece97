"""What a layer reports of a batch, and its means over an epoch."""

import keras
from keras import ops

from keras_ff.backends.reductions import mean_of_samples

OF_PAIRS = ("loss", "positive_goodness", "negative_goodness", "pair_accuracy")
OF_CLASSES = ("loss", "goodness", "accuracy")
# Former names, which logs keep until keras_ff 0.3.0.
ALIASES = {"pair_accuracy": "pairs_told_apart"}


def of_pairs(positive, negative):
    """Metrics of shape (batch,) from goodness, (batch,) and (batch, negatives per sample)."""
    pair_accuracy = ops.cast(ops.expand_dims(positive, 1) > negative, "float32")
    return {
        "positive_goodness": positive,
        "negative_goodness": ops.mean(negative, axis=1),
        "pair_accuracy": ops.mean(pair_accuracy, axis=1),
    }


def of_classes(goodness, labels):
    """Metrics of class groups, of shape (batch,), and `goodness` itself as `class_goodness`."""
    true = ops.take_along_axis(goodness, ops.expand_dims(labels, 1), axis=1)[:, 0]
    most = ops.cast(ops.equal(ops.argmax(goodness, axis=1), labels), "float32")
    return {"goodness": true, "accuracy": most, "class_goodness": goodness}


def of_no_classes(goodness):
    """As `of_classes`, for a layer without class groups, of which nothing can be measured."""
    nothing = ops.full_like(goodness[:, 0], float("nan"))
    return {"goodness": nothing, "accuracy": nothing, "class_goodness": goodness}


class SilentMetric(keras.metrics.Metric):
    """What is counted anew in every epoch and summed over replicas, but not logged."""

    def result(self):
        return {}


UNKNOWN = float("inf")


class LayerMetrics(keras.metrics.Metric):
    """Weighted means of a layer's metrics; nan, not zero, where nothing was measured.

    One Keras metric for all of a layer's, since a deep model has many. Layers are counted from 1;
    metrics are logged as `layer_{number}/{name}`. `waiting_loss` is the loss of a layer whose turn
    has not come, on one batch at the start of `fit`; infinite where it has not been measured.
    """

    def __init__(self, number, metric_names):
        super().__init__(name=f"layer_{number}", dtype="float32")
        self.metric_names = metric_names
        self.log_names = [f"{self.name}/{name}" for name in metric_names]
        self.aliases = {
            f"{self.name}/{old}": f"{self.name}/{new}"
            for new, old in ALIASES.items()
            if new in metric_names
        }
        shape = (len(metric_names),)
        self.total = self.add_variable(shape=shape, initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")
        unknown = keras.initializers.Constant(UNKNOWN)
        # Of the first replica: known without the others, so that one of them can save it alone.
        self.waiting_loss = self.add_variable(
            shape=(), initializer=unknown, aggregation="only_first_replica", name="waiting_loss"
        )

    def reset_state(self):
        self.total.assign(ops.zeros(self.total.shape, "float32"))
        self.count.assign(0.0)

    def update_state(self, metrics, sample_weight):
        """Add the metrics of a batch, a dictionary of tensors, and the weight of their means."""
        weight = ops.cast(sample_weight, "float32")
        means = ops.stack([mean_of_samples(metrics[name]) for name in self.metric_names])
        self.total.assign_add(weight * means)
        self.count.assign_add(weight)

    def result(self):
        """A dictionary of the means so far."""
        means = ops.where(self.count > 0, self.total / ops.maximum(self.count, 1e-12), float("nan"))
        logs = dict(zip(self.log_names, ops.unstack(means), strict=True))
        return {**logs, **{old: logs[new] for old, new in self.aliases.items()}}
