"""Negatives: where a layer's negative samples come from."""

import keras
from keras import ops

from keras_ff import parts
from keras_ff.parts import registered


class Negatives(keras.layers.Layer):
    """Base of the sources of negatives. A Keras layer, because its generator is state.

    Args:
        count: integer, negatives a sample.
        seed: integer or `None`. Seed of the generator; `None` draws one.
    """

    def __init__(self, count=1, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.count = parts.whole_number(count, "count")
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.built = True

    def labels(self, y, num_classes, seed=None):
        """Draw wrong labels for a batch.

        Args:
            y: integer tensor of shape (batch,): the true labels.
            num_classes: number of classes.
            seed: integer to draw from instead of the layer's generator, which then does not
                move; validation uses this.

        Returns:
            int32 tensor of shape (batch,), or (batch, count) where `count` is above 1.
        """
        raise NotImplementedError

    def check(self, num_classes):
        """Raise ValueError where so many negatives cannot be drawn from `num_classes` classes."""

    def get_config(self):
        return {**super().get_config(), "count": self.count, "seed": self.seed}


@registered
class RandomLabels(Negatives):
    """Wrong labels, uniformly random, drawn anew for every batch (Hinton 2022, §3.3).

    Never the true label; with several negatives a sample, all different.

    Args:
        count: integer, negatives a sample, at most the number of classes less one. More cost
            more and learn faster under `LabelSoftmax`. Defaults to `1`.
        seed: integer or `None`. Seed of the generator. Defaults to `None`: drawn, and
            set by `keras.utils.set_random_seed`.

    Raises:
        ValueError: if `count` is below 1 or not an integer, or there are too few classes.

    Example:

    >>> import numpy as np
    >>> wrong = RandomLabels(seed=0).labels(np.array([0, 1]), num_classes=2)
    >>> print(np.array(wrong))
    [1 0]
    """

    def labels(self, y, num_classes, seed=None):
        self.check(num_classes)
        y = ops.cast(y, "int32")
        source = self.generator if seed is None else seed
        # The largest of independent uniform figures are a draw without replacement; the true
        # label's own figure is put below all others.
        figures = keras.random.uniform((ops.shape(y)[0], num_classes), seed=source)
        figures = figures - 2.0 * ops.one_hot(y, num_classes, dtype=figures.dtype)
        wrong = ops.cast(ops.top_k(figures, k=self.count)[1], "int32")
        return wrong[:, 0] if self.count == 1 else wrong

    def check(self, num_classes):
        if self.count > num_classes - 1:
            raise ValueError(
                f"With {num_classes} classes a sample has at most {num_classes - 1} wrong labels. "
                f"Received: count={self.count}"
            )


@registered
class AllLabels(Negatives):
    """Every wrong label of every sample, in each step.

    With `LabelSoftmax` the loss is then the cross-entropy over all classes. A step costs as many
    passes as there are classes.

    Args:
        seed: integer or `None`; nothing is drawn. Defaults to `None`.

    Example:

    >>> import numpy as np
    >>> print(np.array(AllLabels().labels(np.array([0, 2]), num_classes=3)))
    [[1 2]
     [0 1]]
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(seed=seed, **kwargs)

    def labels(self, y, num_classes, seed=None):
        del seed
        y = ops.expand_dims(ops.cast(y, "int32"), 1)
        wrong = (y + ops.arange(1, num_classes, dtype="int32")) % num_classes
        return wrong[:, 0] if num_classes == 2 else wrong

    def get_config(self):
        config = super().get_config()
        del config["count"]
        return config


KNOWN = {"all_labels": AllLabels, "random_labels": RandomLabels}


def get(identifier):
    """Negatives by name, object or configuration; see `keras_ff.parts.get`."""
    return parts.get(identifier, Negatives, KNOWN, "source of negatives")
