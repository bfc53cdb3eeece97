"""RecurrentFFModel: layers with inputs from the layer above as well as from the one below."""

import functools
import math

from keras import ops

from keras_ff.labels import Append
from keras_ff.labels.label_embedding import SMALLEST_ENERGY
from keras_ff.layer_schedules import Simultaneous
from keras_ff.layers import LengthNormalization
from keras_ff.layers.batch import Batch
from keras_ff.models import arguments, scoring
from keras_ff.models.ff_model import FFModel
from keras_ff.models.recurrent_dense import RecurrentDense
from keras_ff.models.stack import Stack
from keras_ff.models.streams import Streams
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class RecurrentFFModel(FFModel):
    """A Forward-Forward network with top-down connections (Hinton 2022, §3.4).

    A sample is shown to the lowest layer and a label to the highest, for several iterations, like
    a video in which nothing moves. In each of them all layers respond at once to the
    length-normalised activities that the layers right below and right above them had an iteration
    before: below the first layer stands the sample, above the last one the label, whose energy is
    `label_embedding.strength` times that of the last layer's inputs from below. Hidden layers start
    with the activities of one upward pass, with zeros from above.

    In every iteration a layer has a goodness and a loss; it learns in one step per batch, from the
    mean over the iterations. Its inputs and its own activities before are detached, so that no
    gradient passes from layer to layer or through time. The metrics of layers are means over the
    iterations; in the first ones the label has not come down to the lower layers yet, and
    positives and negatives are the same to them. Scores are the goodness averaged over some
    iterations; a softmax readout sees the activities of these side by side.

    Args:
        layers: list of `RecurrentDense`, lowest first.
        num_classes: integer of at least 2.
        iterations: integer above 0. Defaults to `8`.
        scored: tuple of integers, counted from 1: the iterations that count in scores. Defaults
            to `(3, 4, 5)`.
        label_embedding: `keras_ff.labels.Append`, by name or object: the label stands beside the
            sample, not in it. Defaults to `"append"`.
        layer_schedule: `"simultaneous"`, the only one where every layer needs the others.
        **kwargs: as for `FFModel`.

    Call arguments:
        x: tensor of shape (batch, ...), any number type.
        training: boolean; has no influence on scores. Defaults to `False`.

    Returns:
        Scores: float32 tensor of shape (batch, num_classes), higher is likelier.

    Raises:
        ValueError: if a layer is no `RecurrentDense`, `scored` names no iteration or one that
            there is not, the label embedding, layer schedule or negatives cannot work in such a
            network, or as for `FFModel`.

    Example:

    >>> model = RecurrentFFModel([RecurrentDense(20), RecurrentDense(20)], num_classes=10)
    >>> model.compile(optimizer="adam", metrics=["accuracy"])
    >>> history = model.fit(np.random.rand(32, 8, 8, 1), np.arange(32) % 10, verbose=0)
    """

    def __init__(
        self,
        layers,
        num_classes,
        iterations=8,
        scored=(3, 4, 5),
        label_embedding="append",
        layer_schedule="simultaneous",
        **kwargs,
    ):
        kwargs = {"label_embedding": label_embedding, "layer_schedule": layer_schedule, **kwargs}
        super().__init__(layers, num_classes, **kwargs)
        self.iterations = checks.whole_number(iterations, "iterations")
        self.scored = sorted({checks.whole_number(number, "scored") for number in scored})
        if not self.scored or self.scored[-1] > self.iterations:
            raise ValueError(
                f"`scored` must name iterations from 1 to {self.iterations}. "
                f"Received: scored={tuple(scored)}, iterations={iterations}"
            )
        for layer in self.stack.layers:
            if not isinstance(layer, RecurrentDense):
                raise ValueError(
                    "A recurrent network has layers with inputs from above and below, "
                    f"RecurrentDense(500), and no others between. Received: {layer!r}"
                )
        for name, kind in (("label_embedding", Append), ("layer_schedule", Simultaneous)):
            if type(getattr(self, name)) is not kind:  # a pipelined schedule is a kind of it
                raise ValueError(
                    f"A recurrent network has {name}={kind.__name__}(). "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        if self.negatives.adjusts:
            raise ValueError(
                "Negatives that follow a gradient of the first layer are none to a network in "
                "which layers have inputs from above; use 'random_labels'. "
                f"Received: negatives={self.negatives!r}"
            )
        self.level = LengthNormalization(dtype=self.dtype_policy)
        self.stack = _RecurrentStack(self.ff_layers, self.iterations, self.scored, self.level)
        self.streams = _RecurrentStreams(
            self.num_classes,
            self.label_embedding,
            self.negatives,
            functools.partial(scoring.scores_of_samples, self),
            first_goodness=None,
            lead=self.stack.lead,
            stack=self.stack,
        )

    def build(self, input_shape):
        features = math.prod(arguments.checked_sample_shape(input_shape)[1:])
        widths = [features, *[layer.units for layer in self.ff_layers], self.num_classes]
        self.stack.widths = widths
        for index, layer in enumerate(self.ff_layers):
            if not layer.built:
                layer.build((None, widths[index] + widths[index + 2]))
            layer.activities_shape = (None, layer.units * len(self.scored))
        super().build(input_shape)

    def to_backprop(self, carry_weights=True):
        """Refused: backpropagation in a recurrent network would be one through time."""
        raise ValueError(
            "A recurrent network is no stack of layers that backpropagation could pass; use "
            f"keras_ff.FFModel. Received: a {type(self).__name__}"
        )

    def get_config(self):
        own = {"iterations": self.iterations, "scored": list(self.scored)}
        return {**super().get_config(), **own}


class _RecurrentStack(Stack):
    """Layers with inputs from the ones right below and right above, normalised by `level`."""

    def __init__(self, layers, iterations, scored, level):
        super().__init__(layers)
        self.iterations = iterations
        self.scored = scored
        self.level = level
        # Of the sample, of every layer, and of the label.
        self.widths = None

    @staticmethod
    def check_built_for(layer, shape):
        """Nothing: the model itself builds the layers, which have inputs from above too."""

    def enter(self, batch, training=False, augment=False):
        """The batch of inputs of the next layer, in all iterations at once."""
        return batch.replace(inputs=batch.skips[batch.layer])

    def activities(self, batch):
        """Activities in the scored iterations, side by side: a list, lowest layer first."""
        history = [activities for _, activities in self.iterate(batch, self.scored[-1])]
        chosen = [history[number - 1] for number in self.scored]
        return [ops.concatenate(of_layer, axis=1) for of_layer in zip(*chosen, strict=True)]

    def goodness(self, activities):
        """Every layer's goodness, averaged over the scored iterations: a list."""
        rows = [
            ops.reshape(each, (-1, layer.units))
            for each, layer in zip(activities, self.ff_layers, strict=True)
        ]
        return [
            ops.mean(ops.reshape(of_layer, (-1, len(self.scored))), axis=1)
            for of_layer in super().goodness(rows)
        ]

    def iterate(self, batch, iterations, training=False):
        """Per iteration, (inputs, activities before) of every layer, and activities of each."""
        inputs = self.ff_layers[0].embed(batch)
        features, below_last = self.widths[0], self.widths[-3]
        sample, label = inputs[:, :features], inputs[:, features:]
        energy = ops.sum(ops.square(sample), axis=1, keepdims=True)
        label = label * ops.sqrt(below_last / ops.maximum(energy, SMALLEST_ENERGY))
        sample, label = self.level(sample), ops.cast(label, self.level.compute_dtype)
        below, activities = sample, []
        for above, layer in zip(self.widths[2:], self.ff_layers, strict=True):
            silence = ops.zeros((ops.shape(below)[0], above), self.level.compute_dtype)
            first = layer(ops.concatenate([below, silence], axis=1), training=training)
            activities.append(ops.stop_gradient(first))
            below = self.level(activities[-1])
        history = []
        for _ in range(iterations):
            outputs = [sample, *[self.level(before) for before in activities], label]
            inputs = [
                ops.concatenate([below, above], axis=1)
                for below, above in zip(outputs, outputs[2:], strict=False)
            ]
            inputs = list(zip(inputs, activities, strict=True))
            activities = [
                ops.stop_gradient(layer.forward(Batch(pair), training))
                for pair, layer in zip(inputs, self.ff_layers, strict=True)
            ]
            history.append((inputs, activities))
        return history


class _RecurrentStreams(Streams):
    """Batches in all iterations at once: their skips are every layer's inputs, and its past."""

    def __init__(self, *args, stack, **kwargs):
        super().__init__(*args, **kwargs)
        self.stack = stack

    def draw(self, samples, labels=None, sample_weight=None, seed=None):
        batch = super().draw(samples, labels, sample_weight, seed)
        history = self.stack.iterate(batch, self.stack.iterations, training=seed is None)

        def together(tensors):
            """One tensor of all iterations', its rows by stream, iteration and sample."""
            width = tensors[0].shape[1]
            apart = [ops.reshape(tensor, (batch.streams, -1, width)) for tensor in tensors]
            return ops.reshape(ops.concatenate(apart, axis=1), (-1, width))

        inputs = tuple(
            tuple(together(tensors) for tensors in zip(*of_layer, strict=True))
            for of_layer in zip(*[pairs for pairs, _ in history], strict=True)
        )
        labels, sample_weight = (
            None if each is None else ops.tile(ops.reshape(each, (-1,)), self.stack.iterations)
            for each in (labels, sample_weight)
        )
        own = {"labels": labels, "sample_weight": sample_weight}
        return batch.replace(inputs=None, stream_labels=None, skips=inputs, **own)
