"""The temperature that turns scores into probabilities."""

import numpy as np
from keras import ops

from keras_ff.layers.layer_metrics import SilentMetric

# Half octaves: scores may be sums of squares over thousands of units.
TEMPERATURES = np.exp2(np.arange(-24, 29) / 2).astype("float32")


class TemperatureFit(SilentMetric):
    """How likely labels are under each of `TEMPERATURES`.

    Counted anew in every epoch.
    """

    def __init__(self):
        super().__init__(name="temperature_fit", dtype="float32")
        shape = TEMPERATURES.shape
        self.of_labels = self.add_variable(shape=shape, initializer="zeros", name="of_labels")
        self.of_classes = self.add_variable(shape=shape, initializer="zeros", name="of_classes")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, scores, labels, sample_weight=None):
        """Count a batch: scores of shape (batch, num_classes), int labels of shape (batch,)."""
        scores, temperatures = map(ops.convert_to_tensor, (scores, TEMPERATURES))
        weight = ops.ones_like(scores[:, 0])
        if sample_weight is not None:
            weight = ops.cast(ops.reshape(sample_weight, (-1,)), "float32")
        scores = scores - ops.max(scores, axis=1, keepdims=True)
        one_hot = ops.one_hot(labels, scores.shape[1], dtype="float32")
        of_label = ops.sum(scores * one_hot, axis=1, keepdims=True)
        of_classes = ops.mean(scores, axis=1, keepdims=True)
        logits = ops.expand_dims(scores, 1) / ops.expand_dims(temperatures, 1)
        normalizer = ops.logsumexp(logits, axis=2)
        weight = ops.expand_dims(weight, 1)
        self.of_labels.assign_add(ops.sum(weight * (normalizer - of_label / temperatures), axis=0))
        self.of_classes.assign_add(
            ops.sum(weight * (normalizer - of_classes / temperatures), axis=0)
        )
        self.count.assign_add(ops.sum(weight))

    def best(self, num_classes):
        """The temperature of the least cross-entropy, a float, or `None` without finite scores.

        Labels count as by Platt (1999), with a sample more of every class, so that classes which
        come out apart on all samples are not told for certain.
        """
        count = float(ops.convert_to_numpy(self.count))
        doubt = num_classes / (count + num_classes)
        entropy = (1 - doubt) * ops.convert_to_numpy(self.of_labels)
        entropy = entropy + doubt * ops.convert_to_numpy(self.of_classes)
        if count <= 0 or not np.isfinite(entropy).all():
            return None
        place = int(np.argmin(entropy))
        if 0 < place < len(entropy) - 1:
            # The lowest point of the parabola through three.
            left, middle, right = entropy[place - 1 : place + 2]
            place += (left - right) / max(2 * (left - 2 * middle + right), 1e-30)
        return float(TEMPERATURES[0] * np.exp2(place / 2))
