"""Goodness: scores by the goodness of every class."""

from keras import ops

from keras_ff import backends
from keras_ff.labels.labelled_samples import LabelledSamples
from keras_ff.readouts import test_time_augmentation
from keras_ff.readouts.layer_choice import (
    ALL,
    VALIDATION,
    check_that_images_come,
    checked_boolean,
    checked_layers,
    chosen,
)
from keras_ff.utils import checks, registry
from keras_ff.utils.registry import registered


@registered
class Goodness(registry.Part):
    """Scores by goodness: one pass a class, the class's goodness summed over layers.

    `score(c) = Σ_k G_k(x with label c)` over the layers that count (Hinton 2022, §3.3). The passes
    of all classes are one batch; class groups have every class's goodness in one pass.

    Args:
        layers: `"all"`; a list of layer indices (0 the first, −1 the last); or `"validation"`:
            the unbroken run of layers with the best accuracy on `fit`'s validation data, chosen
            anew whenever these are evaluated (Sun et al. 2025). Layers that have not been
            trained yet never count. Defaults to `"all"`.
        mirrored: boolean. Whether the goodness of an image and that of its mirror image, left
            and right exchanged, are added up: a second pass, for networks that were trained on
            images mirrored at random. Defaults to `False`.
        shift: integer, pixels. Above 0 the goodness of the image moved by that much down to the
            right, and up to the left, is added as well: three passes for one. Defaults to `0`.

    Raises:
        ValueError: if an index is not that of a layer, an argument is out of its range,
            `"validation"` finds no validation data, or samples to be mirrored or moved have
            another shape than (height, width, channels).

    Example:

    >>> Goodness(layers=[1, 2]).layers
    [1, 2]
    """

    def __init__(self, layers=ALL, mirrored=False, shift=0):
        if layers is None:
            layers = ALL
        self.layers = layers if self._is_validation(layers) else checked_layers(layers)
        self.mirrored = checked_boolean(mirrored, "mirrored")
        self.shift = checks.whole_number(shift, "shift", minimum=0)

    @staticmethod
    def _is_validation(layers):
        return isinstance(layers, str) and layers == VALIDATION

    @property
    def chooses(self):
        """Whether validation data decide which layers count."""
        return self._is_validation(self.layers)

    def build_for(self, model):
        """Check the layer indices against the model's layers, or make room for the choice."""
        check_that_images_come(self, model)
        if self.chooses:
            model.add_layer_choice()
        else:
            chosen(self.layers, len(model.ff_layers))

    def check_fit(self, has_validation_data):
        """Raise ValueError where layers are to be chosen, and there is nothing to choose by."""
        if self.chooses and not has_validation_data:
            raise ValueError(
                "readouts.Goodness(layers='validation') chooses layers on validation data: call "
                "`fit(..., validation_data=...)`. Received: validation_data=None"
            )

    def scores(self, model, x):
        """Scores of a batch.

        Args:
            model: a built `FFModel` with a label embedding.
            x: tensor of shape (batch, ...), labels not embedded.

        Returns:
            float32 tensor of shape (batch, num_classes).
        """
        return self.total(model, self.of_layers(model, x))

    def of_layers(self, model, x):
        """Every layer's scores of a batch: a list of tensors of shape (batch, num_classes)."""
        return self.with_other_views(model, x, self._as_they_are(model, x))

    def with_other_views(self, model, x, goodness):
        """Every layer's scores of a batch, from those of the samples as they are.

        Args:
            model: a built `FFModel`.
            x: tensor of shape (batch, ...), labels not embedded.
            goodness: list of tensors of shape (batch, num_classes), what layers score of `x`.
        """
        _, *others = test_time_augmentation.views(x, self.mirrored, self.shift)
        each = [goodness, *(self._as_they_are(model, view) for view in others)]
        return [sum(views) for views in zip(*each, strict=True)]

    @staticmethod
    def _as_they_are(model, x):
        num_classes = model.num_classes
        if model.class_groups:
            return model.goodness_of(model.activities(model.embed(x, None)))
        labels = ops.expand_dims(ops.arange(num_classes, dtype="int32"), 1)
        labels = labels + ops.zeros((1, ops.shape(x)[0]), dtype="int32")
        samples = LabelledSamples(model.label_embedding, x, labels, num_classes)
        goodness = model.goodness_of(model.activities(samples))
        return [ops.transpose(ops.reshape(each, (num_classes, -1))) for each in goodness]

    def total(self, model, goodness):
        """Goodness summed over the layers that count.

        Args:
            model: the `FFModel`.
            goodness: list of tensors of one shape, one a layer from the first on; layers missing
                at the end, because they were not computed, must be untrained.

        Returns:
            float32 tensor of that shape.
        """
        if self.chooses:
            counts = model.trained() * ops.cast(model.layer_choice, "float32")
        else:
            counts = model.trained(chosen(self.layers, len(model.ff_layers)))
        return sum(counts[index] * of_layer for index, of_layer in enumerate(goodness))

    def judge(self, model, goodness, labels):
        """Count the hits of every run of layers on a validation batch."""
        if self.chooses:
            trained = model.trained()
            goodness = [trained[index] * each for index, each in enumerate(goodness)]
            hits = []
            for first, end in _runs(len(goodness)):
                best = ops.argmax(sum(goodness[first:end]), axis=1)
                hits.append(
                    ops.sum(ops.cast(ops.equal(best, ops.cast(labels, best.dtype)), "int32"))
                )
            model.layer_hits.assign_add(backends.total(ops.stack(hits)))

    def begin_choice(self, model):
        """Forget what was counted on other data."""
        if self.chooses:
            model.layer_hits.assign(ops.zeros(model.layer_hits.shape, dtype="int32"))

    def choose_layers(self, model):
        """Let the run of layers with most hits count from now on; of equals the longest."""
        if not self.chooses:
            return
        hits = ops.convert_to_numpy(model.layer_hits)
        trained = ops.convert_to_numpy(model.trained())
        runs = [
            (count, end - first, first)
            for count, (first, end) in zip(hits, _runs(len(trained)), strict=True)
            if trained[first:end].all()
        ]
        _, length, first = max(runs)
        model.layer_choice.assign(
            [first <= index < first + length for index in range(len(trained))]
        )

    def get_config(self):
        layers = self.layers
        layers = list(layers) if isinstance(layers, list) else layers
        return {"layers": layers, "mirrored": self.mirrored, "shift": self.shift}


def _runs(num_layers):
    """(first, end) of every unbroken run of layers."""
    return [(first, end) for first in range(num_layers) for end in range(first + 1, num_layers + 1)]
