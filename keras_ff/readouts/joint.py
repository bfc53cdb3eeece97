"""Joint: scores by goodness and by a linear head together."""

import math

import keras
from keras import ops

from keras_ff.layers.layer_metrics import SilentMetric
from keras_ff.readouts.base import Readout
from keras_ff.readouts.goodness import Goodness
from keras_ff.readouts.layer_choice import VALIDATION
from keras_ff.readouts.softmax import Softmax
from keras_ff.utils import registry
from keras_ff.utils.registry import registered

# What scores may be made of; of equally good ones validation data choose the first.
USES = ("both", "goodness", "softmax")


@registered
class Joint(Readout):
    """Scores by the sum of two softmaxes: that of goodness, and that of a linear head.

    `score(c) = log ½ [softmax(G / T_G)_c + softmax(z / T_z)_c]`

    with the goodness G of class c as `Goodness` sums it over layers, the logits z of `Softmax`,
    and the temperatures that `fit` chooses for each of them, so that neither outweighs the other
    by its unit alone. The softmax of the scores is the mean of both probabilities. HCL-FF (Yao et
    al. 2026, https://arxiv.org/abs/2605.24797) adds up both softmaxes at temperatures of 1.

    It is for class groups, of which one pass gives goodness and activities. The head learns beside
    the layers, or after them by `fit_readout`; no gradient of it reaches a layer. As everywhere,
    temperatures are chosen on validation data, or on training samples where there are none.

    Args:
        goodness: `Goodness`, or `"goodness"`, the default.
        softmax: `Softmax`, or `"softmax"`, the default.
        use: `"both"`; `"goodness"` or `"softmax"` for one of them alone, the other of which is
            kept; or `"validation"`: the one of the three with the best accuracy on `fit`'s
            validation data, chosen anew whenever these are evaluated, by the temperatures and the
            choice of layers of before. Defaults to `"both"`.
        mirrored, shift: test-time augmentation, as for `Goodness` and `Softmax`, and for both of
            them at once; theirs stays off. Default to `False` and `0`.

    Call arguments:
        features: as from `features`: scores by goodness, float32 of shape (batch, num_classes),
            and the inputs of the head, float32 of shape (batch, features).
        training: boolean. Defaults to `False`.

    Returns:
        float32 tensor of shape (batch, num_classes), logarithms of probabilities.

    Raises:
        ValueError: if an argument is out of its range, the network has no class groups, or
            `"validation"` finds no validation data.

    Example:

    >>> of_convolutions = Softmax(layers=[-2, -1], regions=1, standardized=True)
    >>> readout = Joint(Goodness("validation"), of_convolutions, use="validation", mirrored=True)
    >>> groups = [keras_ff.layers.FFConv2D(20, 3, goodness="class_groups") for _ in range(3)]
    >>> model = keras_ff.FFModel(groups, 10, label_embedding=None, negatives=None, readout=readout)
    """

    reads_activities = True
    reads_goodness = True
    learns = True

    def __init__(
        self,
        goodness="goodness",
        softmax="softmax",
        use="both",
        mirrored=False,
        shift=0,
        **kwargs,
    ):
        super().__init__(mirrored, shift, **kwargs)
        self.goodness = _part(goodness, Goodness, "goodness")
        self.softmax = _part(softmax, Softmax, "softmax")
        if use not in (*USES, VALIDATION):
            raise ValueError(
                f"`use` must be {', '.join(map(repr, USES))} or {VALIDATION!r}. "
                f"Received: use={use!r}"
            )
        self.use = use
        self.chooses = self.goodness.chooses or use == VALIDATION
        self.use_choice = None
        self.use_hits = None

    def build_for(self, activities_shapes, num_classes, sample_shape):
        super().build_for(activities_shapes, num_classes, sample_shape)
        self.goodness.build_for(activities_shapes, num_classes, sample_shape)
        self.softmax.build_for(activities_shapes, num_classes, sample_shape)
        if self.use == VALIDATION and self.use_choice is None:
            self.use_choice = self.add_weight(
                shape=(), initializer="zeros", dtype="int32", trainable=False, name="use_choice"
            )
            self.use_hits = UseHits()
        self.build_temperature()
        self.built = True

    def learners(self):
        return [self.softmax]

    def check_fit(self, has_validation_data):
        self.goodness.check_fit(has_validation_data)
        if self.use == VALIDATION and not has_validation_data:
            raise ValueError(
                "readouts.Joint(use='validation') chooses on validation data: call "
                "`fit(..., validation_data=...)`. Received: validation_data=None"
            )

    def features(self, values, trained):
        """What scores are made of: scores by goodness, and the inputs of the head, detached.

        Args:
            values: pair of lists, the layers' goodness of every class and their activities.
            trained: boolean tensor of shape (layers,).
        """
        goodness, activities = values
        return self.goodness(goodness, trained), self.softmax.features(activities, trained)

    def call(self, features, training=False):
        by_goodness, inputs = features
        return self._joined(by_goodness, self.softmax(inputs, training=training))

    def scores(self, values_of, x, trained):
        goodness, inputs = self._over_views(values_of, x, trained)
        return self((self.goodness(goodness, trained), inputs), training=False)

    def test_step(self, values_of, x, labels, trained, sample_weight=None, known=None):
        goodness, inputs = self._over_views(values_of, x, trained)
        by_goodness, logits = self.goodness(goodness, trained), self.softmax(inputs, training=False)
        self.goodness.judge(goodness, labels, trained)
        if self.use_hits is not None:
            self.use_hits.update_state(self._each(by_goodness, logits), labels)
        self._judge_temperatures(by_goodness, logits, labels, sample_weight)
        loss = self.softmax.loss(logits, labels, sample_weight)
        return self._joined(by_goodness, logits), loss

    def train_step(self, features, labels, sample_weight=None):
        """One step of the head; returns scores and the head's loss of before the step.

        Args:
            features: as from `features`.
            labels: int32 tensor of shape (batch,).
            sample_weight: tensor of shape (batch,), or `None`.
        """
        by_goodness, inputs = features
        logits, loss = self.softmax.train_step(inputs, labels, sample_weight)
        self._judge_temperatures(by_goodness, logits, labels, sample_weight)
        return self._joined(by_goodness, logits), loss

    def _over_views(self, values_of, x, trained):
        """Goodness of every class, per layer, added up over all views; the mean head inputs."""

        def of_view(view):
            goodness, activities = values_of(view)
            return goodness, self.softmax.features(activities, trained)

        (goodness, total), views = self.over_views(of_view, x)
        return goodness, total / views

    def _each(self, by_goodness, logits):
        """Scores by both, by goodness and by the head, in the order of `USES`."""
        first = ops.log_softmax(by_goodness / self.goodness.temperature)
        second = ops.log_softmax(logits / self.softmax.temperature)
        return [ops.logaddexp(first, second) - math.log(2), first, second]

    def _joined(self, by_goodness, logits):
        each = self._each(by_goodness, logits)
        if self.use_choice is None:
            return each[USES.index(self.use)]
        return ops.take(ops.stack(each), self.use_choice, axis=0)

    def _judge_temperatures(self, by_goodness, logits, labels, sample_weight):
        self.goodness.judged(by_goodness, labels, sample_weight)
        self.softmax.judged(logits, labels, sample_weight)

    def judged(self, scores, labels, sample_weight=None):
        # The temperatures are those of the parts, and have been judged by their own scores.
        return self.probabilities(scores)

    def choose_temperature(self, num_classes):
        self.goodness.choose_temperature(num_classes)
        self.softmax.choose_temperature(num_classes)

    def choose_layers(self, trained):
        self.goodness.choose_layers(trained)
        if self.use_hits is not None:
            hits = ops.convert_to_numpy(self.use_hits.hits)
            self.use_choice.assign(int(hits.argmax()))

    def get_config(self):
        return {
            **super().get_config(),
            "goodness": keras.saving.serialize_keras_object(self.goodness),
            "softmax": keras.saving.serialize_keras_object(self.softmax),
            "use": self.use,
            "mirrored": self.mirrored,
            "shift": self.shift,
        }


class UseHits(SilentMetric):
    """How many samples each of `USES` gets right."""

    def __init__(self):
        super().__init__(name="use_hits", dtype="int32")
        self.hits = self.add_variable(
            shape=(len(USES),), initializer="zeros", dtype="int32", name="hits"
        )

    def update_state(self, scores, labels):
        """Count a batch; `scores` are those of each use, of shape (batch, num_classes)."""
        best = ops.cast(ops.argmax(ops.stack(scores), axis=2), "int32")
        right = ops.equal(best, ops.cast(labels, "int32"))
        self.hits.assign_add(ops.sum(ops.cast(right, "int32"), axis=1))


def _part(identifier, kind, name):
    """A readout of the given kind, without test-time augmentation; ValueError otherwise."""
    part = registry.get(identifier, kind, {name: kind}, f"part {name!r} of a joint readout")
    if not isinstance(part, kind):
        raise ValueError(
            f"`{name}` must be {name!r} or a readouts.{kind.__name__}. Received: {name}={part!r}"
        )
    if part.mirrored or part.shift:
        raise ValueError(
            "Test-time augmentation is said once, Joint(..., mirrored=True, shift=1), for both "
            f"parts. Received: {name}={part!r}"
        )
    return part
