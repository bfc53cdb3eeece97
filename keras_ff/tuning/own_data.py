"""What a search's own data say of the models that learn from them."""

import dataclasses
import math

import keras
import numpy as np

from keras_ff import measurements
from keras_ff.models.data_checks import len_or_none

# In the hyperparameters of a trial, so that its model can be built where the data are not.
SAMPLE_SHAPE, NUM_CLASSES = "sample_shape", "num_classes"
# The arguments of `fit` that `given` takes.
ARGUMENTS = ("x", "y", "validation_data", "validation_split", "steps_per_epoch")
NAMES = (SAMPLE_SHAPE, NUM_CLASSES)
INFINITE = -1  # as `tf.data.INFINITE_CARDINALITY`


@dataclasses.dataclass(frozen=True)
class OwnData:
    """Data that a tuner's `search` was given, as far as a model depends on them.

    Args:
        sample_shape: tuple, shape of a sample.
        num_classes: integer.
        samples: integer, number of training samples where they are arrays, else `None`.
        batches: integer, batches per epoch where that is known without a batch size, else `None`.
        first: first samples and their labels, a pair of arrays; `None` where they are not at hand.
    """

    sample_shape: tuple
    num_classes: int
    samples: int | None = dataclasses.field(default=None, compare=False)
    batches: int | None = dataclasses.field(default=None, compare=False)
    first: tuple | None = dataclasses.field(default=None, compare=False, repr=False)

    def steps(self, batch_size):
        """Batches per epoch; 1 where that is not known."""
        if self.batches is not None:
            return self.batches
        return math.ceil((self.samples or 1) / batch_size)

    def note(self, hp):
        """Write down in the hyperparameters of a trial what builds its model again."""
        hp.Fixed(SAMPLE_SHAPE, ",".join(map(str, self.sample_shape)))
        hp.Fixed(NUM_CLASSES, self.num_classes)

    @classmethod
    def noted(cls, hp):
        """What `note` wrote, or `None`."""
        if not set(NAMES) <= set(hp.values):
            return None
        shape = tuple(int(size) for size in hp.values[SAMPLE_SHAPE].split(","))
        return cls(shape, int(hp.values[NUM_CLASSES]))


def given(
    x, y=None, validation_data=None, validation_split=0.0, num_classes=None, steps_per_epoch=None
):
    """What the data say that `search` was given for `fit`.

    Labels of streams are read once, to count the classes.

    Args:
        x, y, validation_data, validation_split, steps_per_epoch: as for `FFModel.fit`.
        num_classes: integer, where labels do not say it. Defaults to `None`: the width of one-hot
            labels, or the largest label and one.

    Returns:
        `OwnData`.

    Raises:
        ValueError: if the data can be gone through only once, or do not tell the classes.
    """
    first = measurements.first_samples(x if y is None else (x, y), measurements.BATCH)
    if first is None:
        raise ValueError(
            "Every trial goes through the data, so that these must last: arrays, a "
            f"`tf.data.Dataset` or a `keras.utils.PyDataset`. Received: {x!r}"
        )
    samples, batches = None, steps_per_epoch
    if batches is None and is_array(x):
        number = x.shape[0] if hasattr(x, "shape") else len(x)
        samples = math.floor(number * (1 - validation_split))
    elif batches is None:
        batches = _batches(x)
    if num_classes is None:
        num_classes = max(_classes(x, y), _classes(*_parts(validation_data)))
    if num_classes < 2:
        raise ValueError(
            "The labels do not tell how many classes there are: give labels, or "
            f"`FFHyperModel(num_classes=...)`. Received: labels of {num_classes} class"
        )
    return OwnData(tuple(first[0].shape[1:]), num_classes, samples, batches, first)


def _parts(data):
    """Samples and labels of validation data."""
    if isinstance(data, (tuple, list)):
        return data[0], data[1] if len(data) > 1 else None
    return data, None


def is_array(x):
    """Whether data have all samples at hand, to be divided into batches."""
    return hasattr(x, "shape") or hasattr(x, "iloc") or isinstance(x, (list, tuple))


def _batches(x):
    """Batches of a stream, which are counted where it does not know."""
    if isinstance(x, keras.utils.PyDataset) and _ends(x):
        return x.num_batches
    if hasattr(x, "cardinality") and int(x.cardinality()) > 0:
        return int(x.cardinality())
    if _ends(x):
        return sum(1 for _ in x)
    raise ValueError(
        "Learning rates fall by the steps of an epoch, which data without an end do not tell: pass "
        f"`steps_per_epoch`. Received: {x!r}"
    )


def _ends(x):
    """Whether a stream can be read to its end."""
    if isinstance(x, keras.utils.PyDataset):
        return len_or_none(x) is not None
    return not hasattr(x, "cardinality") or int(x.cardinality()) != INFINITE


def _each(x):
    """The batches of a stream that ends."""
    if isinstance(x, keras.utils.PyDataset):
        return (x[index] for index in range(x.num_batches))
    return x


def _classes(x, y):
    """How many classes labels tell of: 0 without any."""
    if x is None:
        return 0
    if y is None:
        return max(map(_classes_of, _labels(x)), default=0)
    return _classes_of(y)


def _labels(x):
    """The labels of a stream, batch by batch."""
    if is_array(x):
        return
    if not _ends(x):
        raise ValueError(
            "Data without an end do not tell how many classes there are: say it, "
            f"`FFHyperModel(num_classes=...)`. Received: {x!r}"
        )
    for batch in _each(x):
        _, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        if y is not None:
            yield y


def _classes_of(y):
    y = y.to_numpy() if hasattr(y, "iloc") else np.asarray(keras.ops.convert_to_numpy(y))
    if y.dtype.kind not in "fiub":
        raise ValueError(f"Labels must be numbers. Received: y of dtype {y.dtype}")
    if y.ndim == 2 and y.shape[1] > 1:
        return y.shape[1]
    return int(np.max(y, initial=-1)) + 1
