"""What frozen layers answer to the training samples, computed once instead of every epoch."""

import copy
import math

import numpy as np
from keras import ops

from keras_ff import backends
from keras_ff.labels.labelled_samples import LabelledSamples

# More than this is not kept; the frozen layers are then computed in every step.
LIMIT_BYTES = 2**31
ROWS_AT_ONCE = 512


class FrozenActivities:
    """Activities and goodness of the layers below the one that learns.

    Kept for every sample and, as negatives may be drawn anew for every batch, for every label.

    Args:
        model: a built `FFModel`.
        x: array of shape (samples, ...), the training samples.
    """

    def __init__(self, model, x):
        self.model = model
        self.x = x
        self.labels_a_sample = 1 if model.class_groups else model.num_classes
        self._forget()

    @staticmethod
    def suit(model, x):
        """Whether samples can be looked up: arrays, and nothing random below the first layer."""
        drawn = model.negatives is not None and (
            model.negatives.are_images or model.negatives.adjusts
        )
        below = model.ff_layers[:-1]
        # Of penalties only a layer that is passed knows.
        penalties = any(
            layer.auxiliary or any(part.activity_regularizer for part in layer._flatten_layers())
            for layer in below
        )
        return (
            model.keeps_tensors
            and model.layer_schedule.caches
            and isinstance(x, np.ndarray)
            and len(model.ff_layers) > 1
            and not (drawn or penalties or model.layer_order.reach)
        )

    def lent_to(self, model):
        """The same answers for another model, whose layers below are equal."""
        lent = copy.copy(self)
        lent.model, lent.goodness = model, list(self.goodness)
        return lent

    def _forget(self):
        self.index = 0
        self.activities = None
        self.goodness = []
        self._penalised = False

    def prepare(self, index):
        """Make ready for FF layer `index` to learn, those before it being frozen.

        Returns:
            Whether anything changed, so that a compiled step must be made anew.
        """
        if index == self.index:
            return False
        if index < self.index:
            self._forget()
        for below in range(self.index, index):
            if not self._pass(below):
                self._forget()
                break
        return True

    def _pass(self, below):
        """Take what is kept through FF layer `below`, and say whether that can be done.

        It may be too much; or the layer adds losses, which only a layer that is passed knows.
        """
        shape = self.model.ff_layers[below].compute_output_shape(self._taken_shape(below))
        rows = len(self.x) * self.labels_a_sample
        if rows * math.prod(shape[1:]) * 4 > LIMIT_BYTES:
            return False
        answer = backends.compiled(lambda handed: self._answer(below, handed))
        activities, goodness = [], []
        for start in range(0, len(self.x), ROWS_AT_ONCE):
            # Blocks of one size, the last of which overlaps: traced and compiled once.
            first = max(0, min(start, len(self.x) - ROWS_AT_ONCE))
            if below == 0:
                handed = ops.convert_to_tensor(self.x[first : first + ROWS_AT_ONCE])
            else:
                of_sample = self.labels_a_sample
                handed = self.activities[first * of_sample : (first + ROWS_AT_ONCE) * of_sample]
            known = (start - first) * self.labels_a_sample
            for kept, part in zip((activities, goodness), answer(handed), strict=True):
                kept.append(part[known:])
            if self._penalised:
                return False
        self.activities = ops.concatenate(activities)
        self.goodness.append(ops.concatenate(goodness))
        self.index = below + 1
        return True

    def _taken_shape(self, below):
        return self.model.layer_order.taken_shapes[below]

    def _answer(self, below, handed):
        """Activities and goodness of a layer, one row a sample and label."""
        model, layer = self.model, self.model.ff_layers[below]
        samples = below == 0 and not model.class_groups
        if samples:
            labels = ops.expand_dims(ops.arange(model.num_classes, dtype="int32"), 1)
            labels = labels + ops.zeros((1, ops.shape(handed)[0]), dtype="int32")
            handed = LabelledSamples(model.label_embedding, handed, labels, model.num_classes)
        elif below == 0:
            handed = model.embed(handed, None)
        taken, _ = model.layer_order.enter(below, handed, [])
        activities = layer.enter(taken)
        # Whether a transform adds losses of its own shows only once it has been called.
        self._penalised = any(part._losses for part in layer._flatten_layers())
        layer._clear_losses()
        if samples:  # stream after stream, where rows of a sample are wanted side by side
            shape = activities.shape[1:]
            streams = ops.reshape(activities, (model.num_classes, -1, *shape))
            activities = ops.reshape(ops.swapaxes(streams, 0, 1), (-1, *shape))
        per_class = {"num_classes": model.num_classes} if model.class_groups else {}
        return activities, layer.goodness(activities, **per_class)

    def look_up(self, rows, labels=None):
        """Activities for a batch, and the goodness of every frozen layer.

        Args:
            rows: int32 tensor of shape (batch,): which samples.
            labels: int32 tensor of shape (streams, batch), or `None` for class groups.

        Returns:
            A tensor of shape (streams · batch, ...), and a list of float32 tensors of shape
            (streams · batch,), for class groups (batch, num_classes).
        """
        if labels is not None:
            rows = ops.reshape(rows * self.labels_a_sample + labels, (-1,))
        return (
            ops.take(self.activities, rows, axis=0),
            [ops.take(goodness, rows, axis=0) for goodness in self.goodness],
        )


def with_rows(x):
    """Samples, each with the number of its row."""
    return x, np.arange(len(x), dtype="int32")


def rows_of(x):
    """Samples and their rows, from what `with_rows` made of them; `None` where it did not."""
    return x if isinstance(x, tuple) else (x, None)
