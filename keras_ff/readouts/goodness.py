"""Goodness: scores by the goodness of every class."""

import numpy as np
from keras import ops

from keras_ff.readouts import layer_choice
from keras_ff.readouts.base import Readout
from keras_ff.readouts.layer_choice import ALL, VALIDATION
from keras_ff.utils.registry import registered


@registered
class Goodness(Readout):
    """Scores by goodness: one pass per class, the class's goodness summed over layers.

    `score(c) = Σ_k G_k(x with label c)` over the layers that count (Hinton 2022, §3.3). The passes
    of all classes are one batch; class groups have every class's goodness in one pass.

    Args:
        layers: `"all"`; a list of layer indices (0 the first, −1 the last); or `"validation"`:
            the unbroken run of layers with the best accuracy on `fit`'s validation data, chosen
            anew whenever these are evaluated (Sun et al. 2025). Layers that have not been
            trained yet never count. Defaults to `"all"`.
        mirrored: boolean. Test-time augmentation: whether the goodness of an image and of its
            mirror image, left and right exchanged, are added up. This takes a second pass, and is
            meant for networks trained with random flips. Defaults to `False`.
        shift: integer, pixels. Test-time augmentation: above 0 the goodness of the image shifted by
            so much down to the right, and up to the left, is added: three passes. Defaults to `0`.

    Call arguments:
        goodness: list of tensors of shape (batch, num_classes), one per layer from the first on;
            layers missing at the end must be untrained.
        trained: boolean tensor of shape (layers,).

    Returns:
        float32 tensor of shape (batch, num_classes).

    Raises:
        ValueError: if an index is not that of a layer, an argument is out of its range,
            `"validation"` finds no validation data, or samples to be mirrored or moved have
            another shape than (height, width, channels).

    Example:

    >>> Goodness(layers=[1, 2]).layers
    [1, 2]
    """

    reads_goodness = True

    def __init__(self, layers=ALL, mirrored=False, shift=0, **kwargs):
        super().__init__(mirrored, shift, **kwargs)
        self.chooses = isinstance(layers, str) and layers == VALIDATION
        if not self.chooses:
            layers = layer_choice.checked_layers(ALL if layers is None else layers)
        self.layers = layers
        self.layer_choice = None
        self.layer_hits = None

    def build_for(self, activities_shapes, num_classes, sample_shape):
        super().build_for(activities_shapes, num_classes, sample_shape)
        num_layers = len(activities_shapes)
        if not self.chooses:
            layer_choice.chosen(self.layers, num_layers)
        elif self.layer_choice is None:
            # All layers count at first.
            self.layer_choice = self.add_weight(
                shape=(num_layers,),
                initializer="ones",
                dtype="int32",
                trainable=False,
                name="layer_choice",
            )
            self.layer_hits = layer_choice.LayerHits(num_layers)
        self.build_temperature()
        self.built = True

    def check_fit(self, has_validation_data):
        if self.chooses and not has_validation_data:
            raise ValueError(
                "readouts.Goodness(layers='validation') chooses layers on validation data: call "
                "`fit(..., validation_data=...)`. Received: validation_data=None"
            )

    def scores(self, values_of, x, trained):
        return self(self.class_goodness(values_of, x), trained)

    def class_goodness(self, values_of, x, known=None):
        """Goodness of every class, per layer, added up over the views of test-time augmentation.

        Args:
            values_of, x: as for `scores`.
            known: the layers' goodness of the samples as they are. Defaults to `None`: computed.
        """
        goodness, _ = self.over_views(values_of, x, known)
        return goodness

    def call(self, goodness, trained):
        if self.chooses:
            counts = ops.cast(trained, "float32") * ops.cast(self.layer_choice, "float32")
        else:
            counts = layer_choice.counts(self.layers, trained)
        return sum(counts[index] * of_layer for index, of_layer in enumerate(goodness))

    def test_step(self, values_of, x, labels, trained, sample_weight=None, known=None):
        goodness = self.class_goodness(values_of, x, known)
        self.judge(goodness, labels, trained)
        return self(goodness, trained), 0.0

    def judge(self, goodness, labels, trained):
        """Count, on a validation batch, how often each run of layers is right.

        Args:
            goodness, trained: as for `call`.
            labels: integer tensor of shape (batch,).
        """
        if self.chooses:
            trained = ops.cast(trained, "float32")
            goodness = [trained[index] * each for index, each in enumerate(goodness)]
            self.layer_hits.update_state(goodness, labels)

    def choose_layers(self, trained):
        """Let the run of layers with most hits count from now on; of equals the longest.

        The temperature goes along with the spread of the scores.
        """
        if not self.chooses:
            return
        before = ops.convert_to_numpy(self.layer_choice)
        hits = ops.convert_to_numpy(self.layer_hits.hits)
        trained = ops.convert_to_numpy(trained)
        runs = [
            (count, end - first, first)
            for count, (first, end) in zip(hits, self.layer_hits.runs, strict=True)
            if trained[first:end].all()
        ]
        _, length, first = max(runs)
        choice = [int(first <= index < first + length) for index in range(len(trained))]
        self.layer_choice.assign(choice)
        self.temperature.assign(self.temperature * self._spread(choice) / self._spread(before))

    def _spread(self, choice):
        """The standard deviation of the scores that a choice of layers gives, as judged."""
        first, length = np.argmax(choice), np.sum(choice)
        variance = ops.convert_to_numpy(self.layer_hits.variance)
        return float(variance[self.layer_hits.runs.index((first, first + length))]) ** 0.5 or 1.0

    def get_config(self):
        layers = self.layers
        return {
            "layers": list(layers) if isinstance(layers, (list, tuple)) else layers,
            "mirrored": self.mirrored,
            "shift": self.shift,
        }
