"""Label negatives: the sample itself, with a label that is not its own."""

import math

from keras import ops

from keras_ff.negatives.base import Negatives
from keras_ff.utils.registry import registered


@registered
class RandomLabels(Negatives):
    """Wrong labels, uniformly random, drawn anew for every batch (Hinton 2022, §3.3).

    Never the true label; with several negatives per sample, all different.

    Args:
        count: integer, negatives per sample, at most the number of classes less one. More cost
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

    def labels(self, y, num_classes, seed=None, x=None, scores=None):
        del seed, x, scores
        y = ops.expand_dims(ops.cast(y, "int32"), 1)
        wrong = (y + ops.arange(1, num_classes, dtype="int32")) % num_classes
        return wrong[:, 0] if num_classes == 2 else wrong

    def get_config(self):
        config = super().get_config()
        del config["count"]
        return config


@registered
class FixedLabels(Negatives):
    """Wrong labels drawn once for each sample and kept for the whole training (Li and Chen).

    A step does not know which sample of the dataset it sees, so the draw is a hash of the
    sample's values: equal samples have equal wrong labels, whatever else is in the batch, and
    different samples independent, uniform ones. Augmented samples differ in each epoch, and so do
    their labels.

    Args:
        count: integer, negatives per sample, at most the wrong labels there are. Defaults to `1`.
        seed: integer or `None`: which hash. Defaults to `None`: drawn here, set by
            `keras.utils.set_random_seed`, and saved with the configuration.

    Raises:
        ValueError: if `count` is below 1 or not an integer, there are too few classes, or
            `labels` is called without the samples `x`.

    Example:

    >>> import numpy as np
    >>> source, x, y = FixedLabels(seed=0), np.eye(3), np.array([0, 1, 2])
    >>> first = np.array(source.labels(y, num_classes=10, x=x))
    >>> again = np.array(source.labels(y[::-1], num_classes=10, x=x[::-1]))
    >>> print(np.array_equal(first, again[::-1]))
    True
    """

    def __init__(self, count=1, seed=None, **kwargs):
        # Generators hold 32 bits under JAX and 31 under PyTorch; nothing is drawn from this one.
        of_generator = seed % 2**31 if isinstance(seed, int) else seed
        super().__init__(count=count, seed=of_generator, **kwargs)
        self.seed = int(ops.convert_to_numpy(self.generator.state)[0]) if seed is None else seed

    def sampling_keys(self, shape, seed, x, scores):
        """Keys in [0, 1) for every sample and class, from the sample's bits alone."""
        del seed, scores
        if x is None:
            raise ValueError(
                "FixedLabels draws from the samples themselves; pass them: "
                "labels(y, num_classes, x=x). Received: x=None"
            )
        # Integers of 32 bits throughout: their sum is the same in any order.
        bits = ops.view(ops.cast(x, "float32"), "int32")
        bits = ops.reshape(bits, (-1, math.prod(x.shape[1:])))
        seed = (self.seed + 2**31) % 2**32 - 2**31
        position = _mixed(_mixed(ops.arange(1, bits.shape[1] + 1, dtype="int32")) + seed)
        sample = ops.sum(_mixed(bits + position), axis=1, keepdims=True)
        label = _mixed(_mixed(ops.arange(1, shape[1] + 1, dtype="int32")) - seed)
        mixed = _mixed(_mixed(sample) + label)
        return ops.cast(ops.bitwise_and(mixed, 2**24 - 1), "float32") / 2**24


@registered
class HardLabels(Negatives):
    """Wrong labels that the network finds likely (Hinton 2022, §3.3).

    Drawn from the softmax readout's probabilities with the true class left out:
    `p(k) = exp(s_k) / Σ_{j ≠ y} exp(s_j)`; several a sample without replacement.

    Args:
        count: integer, negatives per sample, at most the wrong labels there are. Defaults to `1`.
        seed: integer or `None`. Seed of the generator. Defaults to `None`: drawn, and set by
            `keras.utils.set_random_seed`.

    Raises:
        ValueError: if `count` is below 1 or not an integer, there are too few classes, or
            `labels` is called without scores of shape (batch, num_classes).

    Example:

    >>> import numpy as np
    >>> scores = np.array([[5.0, 40.0, 0.0], [40.0, 5.0, 0.0]])
    >>> print(np.array(HardLabels().labels(np.array([0, 0]), num_classes=3, scores=scores)))
    [1 1]
    """

    needs_scores = True

    def sampling_keys(self, shape, seed, x, scores):
        """Scores plus Gumbel noise: the largest are a draw from their softmax."""
        del x
        if scores is None or tuple(scores.shape)[1:] != (shape[1],):
            raise ValueError(
                "HardLabels draws from the scores of a softmax readout, of shape "
                f"(batch, {shape[1]}); give the model readout='softmax'. "
                f"Received: scores={None if scores is None else tuple(scores.shape)}"
            )
        uniform = super().sampling_keys(shape, seed, None, None)
        # `1 − uniform` is never 0, so no key is as low as the true label's.
        return ops.cast(scores, "float32") - ops.log(-ops.log1p(-uniform))


def _mixed(bits):
    """int32 tensor in which each bit depends on all bits of `bits`, one to one.

    Shifts, exclusive ors and products modulo 2³² in turn, as in MurmurHash3's last step
    (Appleby); constants found by Wellons' search for little bias.
    """
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B - 2**32), (16, 1)):
        # A right shift, less the copies of the sign that it shifts in.
        upper = ops.bitwise_and(ops.right_shift(bits, shift), 2 ** (32 - shift) - 1)
        bits = ops.bitwise_xor(bits, upper) * factor
    return bits
