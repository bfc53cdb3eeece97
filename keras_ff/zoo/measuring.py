"""Accuracies of a preset, measured on its dataset."""

import dataclasses

import numpy as np

from keras_ff.utils.files import for_json

# Accuracies on cards hold to this many percentage points.
TOLERANCE = 0.05


@dataclasses.dataclass(frozen=True)
class Measured:
    """The test accuracy that a preset's card says, and that which was found, as fractions."""

    card: float
    found: float

    @property
    def difference(self):
        """In percentage points, above 0 where more was found than the card says."""
        return 100 * (self.found - self.card)

    @property
    def agrees(self):
        """Whether the card is right, to 0.05 percentage points."""
        return abs(self.difference) <= TOLERANCE


def measure(preset, data_dir=None, kept=None):
    """Measure a preset's test accuracy again.

    Args:
        preset: a `keras_ff.zoo.Preset` with weights and a test accuracy.
        data_dir: as for `keras_ff.datasets.load`. Defaults to `None`.
        kept: dictionary of scores on the test set by the preset's folder, to which this adds. What
            is there is not computed again, so that an ensemble costs nothing once its members
            were measured, and they nothing after it. Defaults to `None`: nothing is known.

    Returns:
        A `Measured`.

    Raises:
        ValueError: if the preset's files are not intact, it has no weights or no accuracy, or its
            data cannot be loaded.

    Example:

    >>> measure(keras_ff.zoo.get("digits_mlp_relu")).agrees
    True
    """
    if preset.test_accuracy is None:
        raise ValueError(
            f"The card of {preset.name!r} has no test accuracy. Received: test_accuracy=None"
        )
    preset.check()
    _, _, test = preset.load_data(data_dir)
    truth = np.concatenate([np.asarray(y) for _, y in test])
    predictions = np.argmax(_scores(preset, test, {} if kept is None else kept), axis=1)
    return Measured(card=preset.test_accuracy, found=float(np.mean(predictions == truth)))


def _scores(preset, data, kept):
    """A preset's scores on data, those of a single network out of `kept`, or into it."""
    members = preset.members()
    if members:
        return sum(share * _scores(member, data, kept) for member, share in members)
    place = preset.folder.resolve()
    if place not in kept:
        kept[place] = preset.model().predict(data, verbose=0)
    return kept[place]


def accuracy(model, data):
    """A model's accuracy on a pipeline, a fraction, or `None` without a pipeline."""
    from keras_ff import training

    return None if data is None else training.classification_metrics(model, data)["accuracy"]


def layer_accuracy(model, x, y):
    """Accuracy by the goodness of each layer alone, and by the sum over the first ones.

    `None` where a layer has no scores.
    """
    from keras_ff import measurements

    measured = measurements.measure(model, x, y)
    return for_json({"alone": measured.accuracy_alone(), "first": measured.accuracy_of_first()})
