"""What frozen layers give for the training samples, computed once instead of in every epoch."""

import contextlib
import copy
import math

import keras
import numpy as np
from keras import ops, tree

from keras_ff import backends
from keras_ff.fast.stepper import forward, is_on
from keras_ff.layers.batch import Batch
from keras_ff.utils import keras_internals

# More than this is not kept; the frozen layers are then computed in every step.
LIMIT_BYTES = 2**31
ROWS_AT_ONCE = 512


@contextlib.contextmanager
def during_fit(model, schedule, x):
    """The samples for `fit`, each with the number of its row where that is to be looked up."""
    samples = _samples(x)
    if not (schedule.caches and suits(model, samples)):
        yield x
        return
    model.build_for(samples)
    borrowed = model._fitting.borrowed
    if borrowed is not None and borrowed.samples is samples:
        model._fitting.cache = borrowed.copied_for(model)
    else:
        model._fitting.cache = ActivationCache(model, samples)
    try:
        yield _with_rows(x)
    finally:
        model._fitting.forget_cache(model)


def can_read(dataset):
    """Whether it is a finite `tf.data.Dataset` of numbers whose samples have no row numbers yet."""
    if not hasattr(dataset, "as_numpy_iterator") or hasattr(dataset, "samples_by_row"):
        return False
    specs = tree.flatten(dataset.element_spec)
    if any(type(spec).__name__ != "TensorSpec" or spec.dtype == "string" for spec in specs):
        return False  # sparse tensors have no rows, and text would become bytes
    return is_on() and int(dataset.cardinality()) not in (0, -1)  # empty, infinite


def read(dataset):
    """A dataset as arrays, (x, y, sample_weight), and the size of its batches."""
    batches = [keras.utils.unpack_x_y_sample_weight(batch) for batch in dataset.as_numpy_iterator()]
    if not batches:
        raise ValueError("There is no data to keep. Received: a dataset without elements")
    whole = [
        None if part[0] is None else np.concatenate(part) for part in zip(*batches, strict=True)
    ]
    return whole, len(batches[0][0])


def borrow(model, cache):
    """Have `fit` look up activities in the cache of another model with equal frozen layers."""
    model._fitting.borrowed = cache


def suits(model, samples):
    """Whether activities of frozen layers can be kept: nothing random comes before them."""
    drawn = model.negatives is not None and (model.negatives.are_images or model.negatives.adjusts)
    # Of penalties only a layer that is passed knows.
    penalties = any(
        layer.auxiliary or keras_internals.has_activity_regularizer(layer)
        for layer in model.ff_layers[:-1]
    )
    return (
        samples is not None
        and is_on()
        and backends.keeps_tensors(model)
        and len(model.ff_layers) > 1
        and not (drawn or penalties or model.stack.reach or model.stack.augments)
    )


def _samples(x):
    """The samples of `fit` by their rows, or `None`."""
    return x if isinstance(x, np.ndarray) else getattr(x, "samples_by_row", None)


def _with_rows(x):
    if isinstance(x, np.ndarray):
        return x, np.arange(len(x), dtype="int32")
    return x.batches_with_rows


class Shelf:
    """Variables in which compiled steps find what is kept, so that these outlast it."""

    def __init__(self):
        self.values = {}

    def put(self, name, rows):
        if name in self.values:
            self.values[name].assign(rows)
        else:
            self.values[name] = backends.kept(rows)

    def clear(self):
        for values in self.values.values():
            values.assign(values[:0])


class ActivationCacheCallback(keras.callbacks.Callback):
    """Has an `FFModel` keep what frozen layers give, where that saves computing it anew.

    It comes after a user's callbacks, which may exchange weights at the start of an epoch.
    """

    def on_epoch_begin(self, epoch, logs=None):
        cache = self.model._fitting.cache
        if cache is not None and cache.prepare(self.model.learning_layers[0]):
            self.model._fitting.choose_step(self.model)


class ActivationCache:
    """Activities and goodness of the layers below the one that learns.

    Kept for every sample and, as negatives may be drawn anew for every batch, for every label.
    """

    def __init__(self, model, samples):
        self.model = model
        self.samples = samples
        self.labels_per_sample = 1 if model.class_groups else model.num_classes
        self._forget()

    def copied_for(self, model):
        """The same activities for another model, whose layers below are equal."""
        copied = copy.copy(self)
        copied.model, copied.goodness = model, list(self.goodness)
        copied._show()
        return copied

    def _forget(self):
        self.index = 0
        self.activities = None
        self.goodness = []
        self._penalised = False

    def prepare(self, index):
        """Make ready for FF layer `index` to learn; whether a compiled step must be made anew."""
        if index == self.index:
            return False
        if index < self.index:
            self._forget()
        for below in range(self.index, index):
            if not self._pass(below):
                self._forget()
                break
        self._show()
        return True

    def _show(self):
        """Put what is kept where compiled steps look it up."""
        shelf = self.model._fitting.shelf
        shelf.clear()
        for number, goodness in enumerate(self.goodness):
            shelf.put(("goodness", number), goodness)
        if self.index:
            shelf.put(("activities", self.index), self.activities)

    def _pass(self, below):
        """Take what is kept through FF layer `below`, and say whether that can be done.

        It may be too much; or the layer adds losses, which only a layer that is passed knows.
        """
        layer, count = self.model.ff_layers[below], len(self.samples)
        size = math.prod(layer.compute_output_shape(self.model.stack.input_shapes[below])[1:])
        if count * self.labels_per_sample * size * 4 > LIMIT_BYTES:
            return False
        compute = backends.compiled(lambda inputs: self._outputs(below, inputs))
        activities, goodness = [], []
        for start in range(0, count, ROWS_AT_ONCE):
            # Blocks of one size, the last of which overlaps: traced and compiled once.
            first = max(0, min(start, count - ROWS_AT_ONCE))
            if below == 0:
                inputs = ops.convert_to_tensor(self.samples[first : first + ROWS_AT_ONCE])
            else:
                of_sample = self.labels_per_sample
                inputs = self.activities[first * of_sample : (first + ROWS_AT_ONCE) * of_sample]
            known = (start - first) * self.labels_per_sample
            for kept, part in zip((activities, goodness), compute(inputs), strict=True):
                kept.append(part[known:])
            if self._penalised:
                return False
        self.activities = ops.concatenate(activities)
        self.goodness.append(ops.concatenate(goodness))
        self.index = below + 1
        return True

    def _outputs(self, below, inputs):
        """Activities and goodness of a layer, one row per sample and label."""
        model, layer = self.model, self.model.ff_layers[below]
        if below == 0:
            batch = model.streams.every_class(inputs)
        else:
            batch = Batch(inputs, streams=1, layer=below)
        activities = forward(layer, model.stack.enter(batch))
        # Whether a transform adds losses of its own shows only once it has been called.
        self._penalised = keras_internals.has_losses(layer)
        keras_internals.clear_losses(layer)
        if batch.streams > 1:  # stream after stream, where rows of a sample are wanted together
            shape = activities.shape[1:]
            streams = ops.reshape(activities, (model.num_classes, -1, *shape))
            activities = ops.reshape(ops.swapaxes(streams, 0, 1), (-1, *shape))
        return activities, layer.compute_goodness(activities)

    def look_up(self, batch, rows):
        """The batch behind the frozen layers, and their metrics; `rows` says which samples."""
        if self.index == 0:
            return batch, []
        if batch.stream_labels is not None:
            rows = ops.reshape(rows * self.labels_per_sample + batch.stream_labels, (-1,))
        shelf, metrics = self.model._fitting.shelf, []
        for number, layer in enumerate(self.model.ff_layers[: self.index]):
            goodness = ops.take(shelf.values["goodness", number], rows, axis=0)
            of_layer = layer.compute_loss(goodness, batch)
            metrics.append({**of_layer, "loss": sum(layer.losses, of_layer["loss"])})
        activities = ops.take(shelf.values["activities", self.index], rows, axis=0)
        return batch.replace(inputs=activities, stream_labels=None, layer=self.index), metrics
