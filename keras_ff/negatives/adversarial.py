"""Adversarial: wrong labels, and samples moved up the goodness of the first layer."""

from keras import ops

from keras_ff import backends
from keras_ff.negatives.base import Negatives, root_mean_square
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class Adversarial(Negatives):
    """A random wrong label, and a sample moved a little up the first layer's goodness.

    A few signed gradient steps, kept near the sample x₀ (Madry et al. 2018), with r the root mean
    square of x₀: `x ← clip(x + step_size · r · sign(∂G/∂x), x₀ ± limit · r)`. The gradient
    belongs to the first layer and crosses no other.

    Args:
        steps: integer, steps per batch. Each costs a forward and a backward pass of the first
            layer. Defaults to `3`.
        step_size: float above 0, share of r that an input moves in a step. Defaults to `0.02`.
        limit: float above 0, share of r that an input moves at most. Defaults to `0.05`.
        seed: integer or `None`. Seed of the generator that draws wrong labels. Defaults to
            `None`: drawn, and set by `keras.utils.set_random_seed`.

    Raises:
        ValueError: if `steps` is below 1 or not an integer, or another is not above 0.

    Example:

    >>> import numpy as np
    >>> source = Adversarial(steps=2, step_size=0.25, limit=1.0)
    >>> moved = source.adjust(np.array([[1.0, -1.0]]), lambda x: keras.ops.sum(x * x, axis=1))
    >>> print(np.array(moved))
    [[ 1.5 -1.5]]
    """

    adjusts = True

    def __init__(self, steps=3, step_size=0.02, limit=0.05, seed=None, **kwargs):
        super().__init__(count=1, seed=seed, **kwargs)
        self.steps = checks.whole_number(steps, "steps")
        self.step_size = checks.positive_number(step_size, "step_size")
        self.limit = checks.positive_number(limit, "limit")

    def adjust(self, embedded, goodness):
        """Move samples up their goodness.

        Args:
            embedded: tensor of shape (batch, ...): samples with their wrong labels embedded.
            goodness: takes a float32 tensor of that shape, returns the first layer's goodness,
                float32 of shape (batch,).

        Returns:
            float32 tensor of `embedded`'s shape, detached.
        """
        start = ops.stop_gradient(ops.cast(embedded, "float32"))
        unit = root_mean_square(start)
        lowest, highest = start - self.limit * unit, start + self.limit * unit
        moved = start
        for _ in range(self.steps):
            uphill = ops.sign(backends.input_gradient(goodness, moved))
            moved = moved + self.step_size * unit * uphill
            moved = ops.minimum(ops.maximum(moved, lowest), highest)
        return ops.stop_gradient(moved)

    def get_config(self):
        config = super().get_config()
        del config["count"]
        own = {"steps": self.steps, "step_size": self.step_size, "limit": self.limit}
        return {**config, **own}
