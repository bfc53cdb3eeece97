"""Measurements of every layer on samples held out from training.

Pictures, reports and TensorBoard show what `measure` finds, so that all of them agree.
"""

import dataclasses
import functools
import itertools
import math

import keras
import numpy as np
from keras import ops

from keras_ff import readouts
from keras_ff.layers.batch import Batch
from keras_ff.models import scoring
from keras_ff.models.data_checks import data_check, len_or_none
from keras_ff.utils.user_warnings import warn_of_former_name

# Samples that go through the network at once.
BATCH = 250
# Activities that are kept of a layer, at most: enough for a histogram.
KEPT_ACTIVITIES = 100_000
# A unit that moves less than this between all samples is dead.
SMALLEST_RANGE = 1e-6
# How near to a bound an activity is saturated: as a share of the way between two bounds, and in
# units of activity where there is only one.
NEAR_BOUND, NEAR_SINGLE_BOUND = 0.01, 1e-3
# Far enough out for any activation to be at its bound, and what no bound is beyond.
FAR, LARGEST_BOUND = 1e4, 100.0


@dataclasses.dataclass(frozen=True)
class LayerMeasurements:
    """One layer on all samples.

    Args:
        number: integer, that of the layer, counted from 1.
        goodness_name: string, what goodness is in words, such as `"mean of squares"`.
        threshold: float, the threshold of the layer's loss; `None` where it has none.
        positive_goodness: float32 array of shape (samples,). For class groups that of the true
            class.
        negative_goodness: float32 array of shape (samples, negatives per sample). For class groups
            that of the other classes.
        class_scores: float32 array of shape (samples, classes): the layer's score of every
            class. The goodness of the sample with that class's label, for class groups that of the
            class's group; without labels in the input the layer's part of the readout's logits,
            and `None` where it has none.
        activities: float32 array of one axis, activities of positive samples, evenly chosen where
            there are more than 100,000.
        unit_range: float32 array of shape (units,): largest minus smallest activity of every unit
            (of every channel, where there are several positions) over positives and negatives; of
            negatives that differ in their labels alone, over one per sample.
        saturated_share: float, the share of the same activities that lie at a bound of the
            activation, where its gradient is nearly nothing: within 1 % of the way between
            two bounds, within 0.001 of a single one. Under ReLU these are the silent ones.
    """

    number: int
    goodness_name: str
    threshold: float | None
    positive_goodness: np.ndarray
    negative_goodness: np.ndarray
    class_scores: np.ndarray | None
    activities: np.ndarray
    unit_range: np.ndarray
    saturated_share: float

    @property
    def separation(self):
        """Mean positive goodness minus mean negative goodness, a float."""
        return float(np.mean(self.positive_goodness) - np.mean(self.negative_goodness))

    @property
    def pair_accuracy(self):
        """Share of pairs of a positive and a negative in which the positive has more goodness."""
        return float(np.mean(self.positive_goodness[:, np.newaxis] > self.negative_goodness))

    @property
    def pairs_told_apart(self):
        """The former name of `pair_accuracy`, until keras_ff 0.3.0."""
        warn_of_former_name("pairs_told_apart", "pair_accuracy", "0.3.0")
        return self.pair_accuracy

    @property
    def dead_share(self):
        """Share of units that respond to every sample alike, a float."""
        return float(np.mean(self.unit_range <= SMALLEST_RANGE))


@dataclasses.dataclass(frozen=True)
class Measurements:
    """All layers that have been trained so far, on the same samples.

    Args:
        layers: list of `LayerMeasurements`, first to last.
        labels: int32 array of shape (samples,); `None` where there are none.
        num_classes: integer.
        bias: float32 array of shape (classes,), added to every sum of class scores: the bias of a
            linear readout, else zeros.
        class_groups: boolean, whether classes compete in one stream without negatives.
        scores_are_goodness: boolean, whether class scores are goodness, not logits.
        stream_names: two strings, what positive and negative goodness belong to.
    """

    layers: list
    labels: np.ndarray | None
    num_classes: int
    bias: np.ndarray
    class_groups: bool
    scores_are_goodness: bool
    stream_names: tuple

    def accuracy_alone(self):
        """Accuracy of every layer's class scores alone: list of floats, nan where unknown."""
        return [self._accuracy([layer]) for layer in self.layers]

    def accuracy_of_first(self):
        """Accuracy of the sum of the first layer's scores, of the first two, and so on."""
        return [self._accuracy(self.layers[: end + 1]) for end in range(len(self.layers))]

    def scores(self):
        """Class scores summed over all layers: (samples, classes), or `None`."""
        return self._sum(self.layers)

    def _sum(self, layers):
        known = [layer.class_scores for layer in layers if layer.class_scores is not None]
        return self.bias + sum(known) if known else None

    def _accuracy(self, layers):
        scores = self._sum(layers)
        if scores is None or self.labels is None:
            return float("nan")
        return float(np.mean(np.argmax(scores, axis=1) == self.labels))


def measure(model, x, y=None, seed=0):
    """Measure every layer that has been trained so far (all of them while none has).

    Nothing of the model is changed, its random generators included.

    Args:
        model: a built `FFModel`.
        x: array of shape (samples, ...), held out from training.
        y: labels of shape (samples,), (samples, 1) or, one-hot, (samples, classes). `None` where
            the model learns without labels: there is then no accuracy. Defaults to `None`.
        seed: integer, of the negatives. Defaults to `0`.

    Returns:
        `Measurements`.

    Raises:
        ValueError: if the model is not built, there are no samples, or they are not such as the
            model takes.

    Example:

    >>> x, y = np.random.rand(64, 8, 8, 1), np.random.randint(0, 10, 64)
    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32) for _ in range(2)], num_classes=10)
    >>> model.build(x.shape)
    >>> measured = measure(model, x, y)
    >>> measured.layers[1].negative_goodness.shape, len(measured.accuracy_alone())
    ((64, 1), 2)
    """
    x, y = _checked(model, x, y)
    tallies = [_Tally(layer) for layer in trained_layers(model)]
    for start in range(0, len(x), BATCH):
        rows = slice(start, start + BATCH)
        labels = None if y is None else y[rows]
        _add_batch(model, tallies, x[rows], labels, seed + start, KEPT_ACTIVITIES / len(x))
    layers = [tally.result(number) for number, tally in enumerate(tallies, start=1)]
    by_head = model.unsupervised and _has_learned(model.readout)
    bias = ops.convert_to_numpy(model.readout.head.bias) if by_head else np.zeros(model.num_classes)
    return Measurements(
        layers=layers,
        labels=y,
        num_classes=model.num_classes,
        bias=bias,
        class_groups=model.class_groups,
        scores_are_goodness=not model.unsupervised,
        stream_names=_stream_names(model),
    )


def trained_layers(model):
    """FF layers that have been trained so far; all of them while none has."""
    return model.ff_layers[: scoring.layers_trained(model) or None]


def neutral_activities(model, x):
    """Activities of samples without their labels, as a softmax readout sees them.

    Args:
        model: a built `FFModel`.
        x: array of shape (samples, ...).

    Returns:
        A list with a float32 array of shape (samples, activities) for every layer that has been
        trained so far. Of activities with positions, such as those of a convolution, it is the
        mean over the positions.

    Raises:
        ValueError: as for `measure`.

    Example:

    >>> x = np.random.rand(20, 8, 8, 1)
    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(32)], num_classes=10)
    >>> model.build(x.shape)
    >>> [activities.shape for activities in neutral_activities(model, x)]
    [(20, 32)]
    """
    x, _ = _checked(model, x, None, needs_labels=False)
    found = [[] for _ in trained_layers(model)]
    for start in range(0, len(x), BATCH):
        samples = ops.convert_to_tensor(x[start : start + BATCH])
        activities = _neutral(model, samples)
        for rows, of_layer in zip(found, activities, strict=False):
            positions = tuple(range(1, len(of_layer.shape) - 1))
            of_layer = ops.cast(of_layer, "float32")
            rows.append(ops.convert_to_numpy(ops.mean(of_layer, axis=positions)))
    return [np.concatenate(rows) for rows in found]


def class_numbers(y, num_classes):
    """Labels as an int32 array of shape (samples,), from integers or one-hot rows.

    Args:
        y: array of shape (samples,), (samples, 1) or, one-hot, (samples, classes).
        num_classes: integer.

    Example:

    >>> class_numbers(np.array([[0, 1], [1, 0]]), 2).tolist()
    [1, 0]
    """
    one_hot = y.ndim == 2 and y.shape[1] == num_classes
    return (np.argmax(y, axis=1) if one_hot else y.reshape(-1)).astype("int32")


def first_samples(data, count):
    """The first samples of some data, as arrays.

    Args:
        data: a tuple (x, y) or (x, y, sample_weight) of arrays, a `tf.data.Dataset` or a
            `keras.utils.PyDataset` of batches, or x alone where there are no labels.
        count: integer, how many at most.

    Returns:
        A pair of x and y; y is `None` where there are no labels. `None` where the data can be gone
        through only once, so that to look would be to take away.

    Example:

    >>> x, y = first_samples((np.zeros((9, 4)), np.arange(9)), 5)
    >>> len(x), y.tolist()
    (5, [0, 1, 2, 3, 4])
    """
    if isinstance(data, keras.utils.PyDataset):
        number = len_or_none(data)
        indices = itertools.count() if number is None else range(number)
        batches = (data[index] for index in indices)
    elif hasattr(data, "element_spec") and hasattr(data, "map"):
        batches = iter(data)
    elif isinstance(data, (tuple, list)) or hasattr(data, "shape"):
        batches = [data]
    else:
        return None
    images, labels, found = [], [], 0
    for batch in batches:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        images.append(_as_array(x))
        labels.append(None if y is None else _as_array(y))
        found += len(images[-1])
        if found >= count or not len(images[-1]):
            break
    if not images:
        return None
    y = None if labels[0] is None else np.concatenate(labels)[:count]
    return np.concatenate(images)[:count], y


# The parts of a measurement.


def _stream_names(model):
    if model.class_groups:
        return "true class", "other classes"
    if model.negatives.are_images and not model.negatives.wrong_labels:
        return "positive (sample)", "negative (changed sample)"
    return "positive (true label)", "negative (wrong label)"


class _Tally:
    """What is found of one layer, batch by batch."""

    def __init__(self, layer):
        self.layer = layer
        self.bounds = _bounds(layer.last_activation)
        self.positives, self.negatives, self.class_scores, self.activities = [], [], [], []
        self.lowest, self.highest = np.inf, -np.inf
        self.saturated = self.number = 0

    def add_activities(self, activities, positives, kept_per_sample):
        """Statistics of all activities, and some of those of the positives."""
        activities = ops.cast(activities, "float32")
        samples = tuple(range(len(activities.shape) - 1))
        lowest, highest = (
            ops.convert_to_numpy(of(activities, axis=samples)) for of in (ops.min, ops.max)
        )
        self.lowest = np.minimum(self.lowest, lowest)
        self.highest = np.maximum(self.highest, highest)
        if self.bounds is not None:
            low, high = self.bounds
            at_bound = ops.logical_or(activities <= low, activities >= high)
            self.saturated += float(ops.sum(ops.cast(at_bound, "float32")))
        self.number += math.prod(activities.shape)
        values = ops.reshape(ops.cast(positives, "float32"), (-1,))
        every = math.ceil(values.shape[0] / (kept_per_sample * positives.shape[0]))
        self.activities.append(ops.convert_to_numpy(values[::every]))

    def result(self, number):
        layer = self.layer
        name = type(layer.goodness).__name__
        words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
        return LayerMeasurements(
            number=number,
            goodness_name=words.strip(),
            threshold=_threshold(layer),
            positive_goodness=np.concatenate(self.positives),
            negative_goodness=np.concatenate(self.negatives),
            class_scores=np.concatenate(self.class_scores) if self.class_scores else None,
            activities=np.concatenate(self.activities),
            unit_range=np.atleast_1d(self.highest - self.lowest),
            saturated_share=self.saturated / self.number,
        )


def _add_batch(model, tallies, x, y, seed, activities_per_sample):
    x = ops.convert_to_tensor(x)
    y = None if y is None else ops.convert_to_tensor(y, "int32")
    if model.class_groups:
        _add_class_groups(model, tallies, x, y, activities_per_sample)
    elif model.negatives.are_images or model.negatives.adjusts:
        _add_streams(model, tallies, x, y, seed, activities_per_sample)
        if not model.unsupervised:
            _add_all_labels(model, tallies, x)
        elif _has_learned(model.readout):
            _add_head(model, tallies, x)
    else:
        # The goodness of wrong labels is part of that of all labels.
        wrong = _wrong_labels(model, x, y, seed)
        _add_all_labels(model, tallies, x, ops.convert_to_numpy(y), wrong, activities_per_sample)


def _add_class_groups(model, tallies, x, y, activities_per_sample):
    activities = _neutral(model, x)
    true = np.eye(model.num_classes, dtype=bool)[ops.convert_to_numpy(y)]
    for tally, of_layer, goodness in _each(model, tallies, activities):
        tally.add_activities(of_layer, of_layer, activities_per_sample)
        if tally.layer.goodness.scores:
            tally.class_scores.append(goodness)
        tally.positives.append(goodness[true])
        tally.negatives.append(goodness[~true].reshape(len(goodness), -1))


def _add_streams(model, tallies, x, y, seed, activities_per_sample):
    """Positives and negatives as in training."""
    batch = model.streams(x, y, seed=seed)
    for tally, of_layer, goodness in _each(model, tallies, model.stack.activities(batch)):
        tally.add_activities(of_layer, of_layer[: x.shape[0]], activities_per_sample)
        goodness = goodness.reshape(batch.streams, -1)
        tally.positives.append(goodness[0])
        tally.negatives.append(goodness[1:].T)


def _add_all_labels(model, tallies, x, y=None, wrong=None, activities_per_sample=0.0):
    """Every label's goodness; and positives and negatives, of which these are the labels."""
    classes, size = model.num_classes, x.shape[0]
    activities = model.stack.activities(model.streams.every_class(x))
    for tally, of_layer, goodness in _each(model, tallies, activities):
        scores = goodness.reshape(classes, -1).T
        tally.class_scores.append(scores)
        if y is not None:
            # One negative per sample is enough to tell what the units do.
            first = np.concatenate([y, wrong[:, 0]]) * size + np.tile(np.arange(size), 2)
            pairs = ops.take(of_layer, first, axis=0)
            tally.add_activities(pairs, pairs[:size], activities_per_sample)
            tally.positives.append(np.take_along_axis(scores, y[:, np.newaxis], axis=1)[:, 0])
            tally.negatives.append(np.take_along_axis(scores, wrong, axis=1))


def _add_head(model, tallies, x):
    """The part that every layer has in the logits of a linear readout."""
    readout, first = model.readout, 0
    values_of = functools.partial(scoring.values, model)
    features = readout.head_inputs(values_of, x, scoring.trained(model))
    for index, width in enumerate(readout.num_features):
        if width:
            own = slice(first, first + width)
            first = own.stop
            if index < len(tallies):
                part = ops.matmul(features[:, own], readout.head.kernel[own])
                tallies[index].class_scores.append(ops.convert_to_numpy(part))


def _neutral(model, x):
    """Activities of samples with the label of no class."""
    return model.stack.activities(Batch(model.streams.embed(x), streams=1))


def _each(model, tallies, activities):
    """Each trained layer's tally, activities, and goodness as an array."""
    goodness = map(ops.convert_to_numpy, model.stack.goodness(activities))
    return zip(tallies, activities, goodness, strict=False)


def _wrong_labels(model, x, y, seed):
    """Labels of the negatives, as an array of shape (samples, negatives per sample)."""
    scores = model.scores(x) if model.negatives.needs_scores else None
    samples = model.streams.lead(x)
    wrong = model.negatives.labels(y, model.num_classes, seed, samples, scores)
    return ops.convert_to_numpy(wrong).reshape(len(x), -1)


def _has_learned(readout):
    """Whether a readout is a linear head that has left its zeros."""
    if not isinstance(readout, readouts.Softmax) or readout.head is None:
        return False
    return bool(ops.any(ops.not_equal(readout.head.kernel, 0)))


def _checked(model, x, y, needs_labels=None):
    if not model.built:
        raise ValueError(
            f"The model must be built: call `build` or `fit` first. Received: {model!r}"
        )
    x = _as_array(x)
    y = None if y is None else _as_array(y)
    if len(x) == 0:
        raise ValueError(f"There are no samples to measure. Received: x of shape {x.shape}")
    if needs_labels is None:
        needs_labels = not model.unsupervised
    data_check(model).arrays(x, y, needs_labels=needs_labels)
    return x, None if y is None else class_numbers(y, model.num_classes)


def _as_array(values):
    if isinstance(values, (np.ndarray, list, tuple)):
        return np.asarray(values)
    return values.to_numpy() if hasattr(values, "iloc") else ops.convert_to_numpy(values)


def _bounds(activation):
    """At or below the first and at or above the second an activity is saturated; `None`: never."""
    if isinstance(activation, keras.layers.Layer):
        return None
    ends = ops.convert_to_tensor([-FAR, FAR], "float32")
    try:
        ends = ops.convert_to_numpy(activation(ends))
    except (TypeError, ValueError):  # one that works along an axis, such as softmax
        return None
    low, high = (end if abs(end) <= LARGEST_BOUND else None for end in map(float, ends))
    if low is None and high is None:
        return None
    if low is None or high is None:
        near = NEAR_SINGLE_BOUND
    elif low == high:
        return None
    else:
        near = NEAR_BOUND * abs(high - low)
    return (-np.inf if low is None else low + near, np.inf if high is None else high - near)


def _threshold(layer):
    """A layer's threshold as a number, or `None` where its loss has none."""
    if layer.threshold is not None:
        return float(ops.convert_to_numpy(layer.threshold))
    if hasattr(layer.loss, "initial_threshold"):
        return layer.loss.initial_threshold()
    return None
