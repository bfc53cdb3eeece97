"""SimilarityMatching: makes samples as similar to each other as their labels are."""

import keras
from keras import ops

from keras_ff import backends
from keras_ff.losses.terms import one_label_per_sample, unit_length
from keras_ff.utils import checks, keras_internals
from keras_ff.utils.registry import registered

# What is beside a cross-entropy of weight 1 as 0.99 is beside 0.01.
PUBLISHED_WEIGHT = 99.0
# Variance below which a channel is the same at all positions.
NO_VARIANCE = 1e-12
KERNEL_SIZE = 3
CONVOLUTIONS = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}


@registered
class SimilarityMatching(keras.layers.Layer):
    """Similarity matching term of a layer, beside its loss on goodness.

    All samples of a batch are compared with each other, and so are their labels:

    `L = weight · mean_ij (S(z)_ij − S(onehot(labels))_ij)²`,

    `S(a)_ij = c_i·c_j / (|c_i| |c_j|)` with `c_i = a_i − mean(a_i)`

    (Nøkland and Eidnes 2019, https://arxiv.org/abs/1901.06656): the mean goes over all pairs, that
    of a sample with itself included, and `S` is the cosine similarity of rows whose own mean is
    subtracted. The similarity of labels is 1 within a class and `−1 / (num_classes − 1)` between
    classes. `z` are the outputs of a head. The head is a square matrix, and on activities with
    positions, such as images, a convolution of size 3 with as many channels, of whose outputs `z`
    is each channel's standard deviation over the positions; neither has a bias. The head learns
    with the layer that the term belongs to.

    Beside `goodness="local_classifier"` the published *predsim* is
    `0.01 · cross-entropy + 0.99 · mean_ij (…)²`. With the default weight a layer's loss is 100
    times that, which is the same to Adam but for its epsilon; plain gradient descent needs a
    hundredth of the published rate, and clipping a hundred times the norm. The term goes with any
    other goodness as well; beside class groups weights of 10 to 40 were tried.

    The head's product is in the compute dtype, like that of the layer itself, and all that follows
    is in float32. A channel that is the same at all positions gets no gradient, nor does a sample
    whose `z` is the same in all channels: it has no direction and is similar to nothing.

    Args:
        weight: float above 0, multiplies the term. Defaults to `99.0`, as published.
        use_head: boolean, whether there is a head; without one `z` is made of the activities
            themselves. Defaults to `True`.
        num_classes: integer of at least 2, needed where the term stands alone; a model sets it.
            Defaults to `None`.
        **kwargs: `name`, `dtype`, as for every Keras layer.

    Call arguments:
        activities: tensor of shape (batch, units) or (batch, ..., channels), any float dtype.
        labels: integer tensor of shape (batch,).
        training: boolean, which makes no difference. Defaults to `False`.

    Returns:
        float32 scalar tensor.

    Raises:
        ValueError: if an argument is out of its range, the number of classes is not known, the
            activities have a single unit or channel, or there is not one label per sample.

    Example:

    >>> import numpy as np
    >>> term = SimilarityMatching(weight=1.0, use_head=False, num_classes=2)
    >>> activities = np.array([[1.0, 0.0, 0.0], [3.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    >>> value = term(activities, np.array([0, 0, 1]))  # as similar as the labels are
    >>> print(abs(np.array(value).round(4)))
    0.0
    >>> value = term(activities, np.array([0, 1, 1]))  # 4 of 9 pairs are wrong, by 2
    >>> print(np.array(value).round(4))
    1.7778
    """

    # Tells the layer to pass labels.
    needs_labels = True

    def __init__(self, weight=PUBLISHED_WEIGHT, use_head=True, num_classes=None, **kwargs):
        # Activities come as they are; the head casts for itself.
        super().__init__(autocast=False, **kwargs)
        self.weight = checks.positive_number(weight, "weight")
        if not isinstance(use_head, bool):
            raise ValueError(f"`use_head` must be True or False. Received: use_head={use_head!r}")
        self.use_head = use_head
        if num_classes is not None:
            num_classes = checks.whole_number(num_classes, "num_classes", minimum=2)
        self.num_classes = num_classes
        self.head = None

    def build(self, activities_shape):
        """Create the head for activities of `activities_shape`; the batch axis is ignored."""
        if self.num_classes is None:
            raise ValueError(
                "A SimilarityMatching that stands alone must be told the number of classes, "
                "SimilarityMatching(num_classes=10). Received: num_classes=None"
            )
        if activities_shape[-1] == 1:
            raise ValueError(
                "Nothing is left of a single unit or channel when the mean is subtracted; use two "
                f"or more. Received: activities of shape {tuple(activities_shape)}"
            )
        if self.use_head:
            self.head = self._new_head(activities_shape)
            self.head.build(activities_shape)
        keras_internals.keep_frozen(self)

    def _new_head(self, activities_shape):
        channels, axes = activities_shape[-1], len(activities_shape) - 2
        common = {"use_bias": False, "dtype": self.dtype_policy, "name": "head"}
        if axes == 0:
            return keras.layers.Dense(channels, **common)
        if axes not in CONVOLUTIONS:
            raise ValueError(
                "The head takes activities with up to three axes of positions; use_head=False "
                f"takes any. Received: activities of shape {tuple(activities_shape)}"
            )
        return CONVOLUTIONS[axes](
            channels, KERNEL_SIZE, padding="same", data_format="channels_last", **common
        )

    @property
    def locality(self):
        """Trainable matrices that the gradient passes in the head: 1, or 0 without one."""
        return 1 if self.use_head else 0

    def call(self, activities, labels, training=False):
        del training
        directions = self.project(activities)
        labels = one_label_per_sample(labels, activities)
        directions, labels = backends.all_gather(directions), backends.all_gather(labels)
        similarity = ops.matmul(directions, ops.transpose(directions))
        same_class = ops.equal(ops.expand_dims(labels, 0), ops.expand_dims(labels, 1))
        between_classes = -1.0 / (self.num_classes - 1)
        of_labels = ops.where(same_class, ops.ones_like(similarity), between_classes)
        return self.weight * ops.mean(ops.square(similarity - of_labels))

    def project(self, activities):
        """The directions that are compared, `c / |c|`.

        Args:
            activities: tensor of shape (batch, units) or (batch, ..., channels).

        Returns:
            float32 tensor of shape (batch, units or channels), each row of mean 0 and length 1,
            or 0 where there is no direction.
        """
        outputs = activities if self.head is None else self.head(activities)
        z = _spread_over_positions(ops.cast(outputs, "float32"))
        return unit_length(z - ops.mean(z, axis=-1, keepdims=True))

    def get_config(self):
        return {
            **super().get_config(),
            "weight": self.weight,
            "use_head": self.use_head,
            "num_classes": self.num_classes,
        }


def _spread_over_positions(x):
    """The standard deviation of every channel; `x` itself where there is one position at most."""
    *sides, channels = x.shape[1:]
    if all(side == 1 for side in sides):
        return ops.reshape(x, (-1, channels))
    variance = ops.var(x, axis=tuple(range(1, len(x.shape) - 1)))
    # Both branches are finite, so that the gradient is, too.
    deviation = ops.sqrt(ops.maximum(variance, NO_VARIANCE))
    return ops.where(variance > NO_VARIANCE, deviation, ops.zeros_like(variance))
