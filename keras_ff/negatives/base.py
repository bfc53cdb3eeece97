"""Base of the sources of negatives: wrong labels, and where random numbers come from."""

import itertools

import keras
from keras import ops

from keras_ff.utils import checks
from keras_ff.utils.user_warnings import warn_of_former_name

# What is drawn, each with seeds of its own, so that no two draws from one seed are alike.
DRAWS = ("labels", "images", "positives")

# The mean square that a blank sample is taken to have.
SMALLEST_MEAN_SQUARE = 1e-6


class Negatives(keras.layers.Layer):
    """Base of the sources of negatives. A Keras layer, because its generator is state.

    Class attributes tell a model how to use the source: `needs_scores` (whether `labels` must be
    given the scores of a softmax readout), `are_images` (whether the samples themselves change)
    and `adjusts` (whether negatives are moved by the first layer's goodness, by `adjust`).

    Args:
        count: integer, negatives per sample.
        seed: integer or `None`. Seed of the generator; `None` draws one.
    """

    needs_scores = False
    are_images = False
    adjusts = False

    def __init__(self, count=1, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.count = checks.whole_number(count, "count")
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        self.built = True

    def labels(self, y, num_classes, seed=None, x=None, scores=None):
        """Draw wrong labels for a batch: never the true one, and none twice.

        Args:
            y: integer tensor of shape (batch,): the true labels.
            num_classes: number of classes.
            seed: integer to draw from instead of the layer's generator, which then does not
                move; validation uses this.
            x: tensor of shape (batch, ...): the samples, for sources that look at them.
            scores: float32 tensor of shape (batch, num_classes): logits of the softmax readout,
                for sources that `needs_scores`.

        Returns:
            int32 tensor of shape (batch,), or (batch, count) where `count` is above 1.

        Raises:
            ValueError: if there are too few classes, or what the source looks at is missing.
        """
        self.check(num_classes)
        y = ops.cast(y, "int32")
        keys = self.sampling_keys((ops.shape(y)[0], num_classes), seed, x, scores)
        # The classes with the largest of independent keys are a draw without replacement; the key
        # of the true label is put below all others.
        true = ops.one_hot(y, num_classes, dtype="bool")
        keys = ops.where(true, -float("inf"), keys)
        wrong = ops.cast(ops.top_k(keys, k=self.count)[1], "int32")
        return wrong[:, 0] if self.count == 1 else wrong

    def sampling_keys(self, shape, seed, x, scores):
        """Random keys of shape (batch, classes); the classes with the largest are drawn.

        Uniform here, so that all wrong labels are equally likely.
        """
        del x, scores
        return keras.random.uniform(shape, dtype="float32", seed=next(self.draws("labels", seed)))

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "figures" in vars(cls):
            warn_of_former_name(f"{cls.__name__}.figures", f"{cls.__name__}.sampling_keys", "0.3.0")
            cls.sampling_keys = cls.figures

    figures = sampling_keys  # its former name, until keras_ff 0.3.0

    def draws(self, what, seed):
        """Seeds of independent draws: the generator again and again, or integers from `seed` on.

        Args:
            what: one of `DRAWS`. No two of them share an integer.
            seed: integer, or `None` for the generator.

        Returns:
            An endless iterator, each entry to be used once as `seed` of `keras.random`.
        """
        if seed is None:
            return itertools.repeat(self.generator)
        return itertools.count(seed + DRAWS.index(what), len(DRAWS))

    def check(self, num_classes):
        """Raise ValueError where so many negatives cannot be drawn from `num_classes` classes."""
        if self.count > num_classes - 1:
            raise ValueError(
                f"With {num_classes} classes a sample has at most {num_classes - 1} wrong labels. "
                f"Received: count={self.count}"
            )

    def get_config(self):
        return {**super().get_config(), "count": self.count, "seed": self.seed}


def root_mean_square(x):
    """Root mean square of each sample of float32 x, of shape (batch, 1, ..., 1).

    A blank sample is given a small one, so that shares of it are not nothing.
    """
    axes = tuple(range(1, len(x.shape)))
    mean = ops.mean(ops.square(x), axis=axes, keepdims=True)
    return ops.sqrt(ops.maximum(mean, SMALLEST_MEAN_SQUARE))
