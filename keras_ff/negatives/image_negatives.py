"""Image negatives: samples that are changed themselves, for training without labels or with."""

import math

import keras
import numpy as np
from keras import ops

from keras_ff.negatives.base import Negatives, root_mean_square
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


class ImageNegatives(Negatives):
    """Base of the sources whose negatives are samples that do not exist.

    They need no labels. `wrong_labels=True` gives every negative image a wrong label besides,
    drawn as by `RandomLabels`, so that the goodness depends on the label too.

    Args:
        wrong_labels: boolean: whether a negative also carries a wrong label. Defaults to `False`.
        count: integer, negatives per sample. Defaults to `1`.
        seed: integer or `None`. Seed of the generator. Defaults to `None`: drawn, and set by
            `keras.utils.set_random_seed`.
    """

    are_images = True

    def __init__(self, wrong_labels=False, count=1, seed=None, **kwargs):
        super().__init__(count=count, seed=seed, **kwargs)
        if not isinstance(wrong_labels, bool):
            raise ValueError(
                f"`wrong_labels` must be True or False. Received: wrong_labels={wrong_labels!r}"
            )
        self.wrong_labels = wrong_labels

    def images(self, x, seed=None):
        """Make negative samples of a batch.

        Args:
            x: tensor of shape (batch, ...).
            seed: integer to draw from instead of the layer's generator, which then does not
                move; validation uses this.

        Returns:
            float32 tensor of shape (count · batch, ...), one negative stream after the other.

        Raises:
            ValueError: if negatives of this kind cannot be made of such samples.
        """
        raise NotImplementedError

    def positives(self, x, seed=None):
        """x as the positive stream sees it, float32; arguments as for `images`."""
        del seed
        return ops.cast(x, "float32")

    def neutral(self, x):
        """x as scoring sees it, float32."""
        return ops.cast(x, "float32")

    def output_shape(self, input_shape):
        """Shape of positives, negatives and neutrals for samples of `input_shape`.

        Raises ValueError where `images` would refuse such samples.
        """
        return tuple(input_shape)

    def labels(self, y, num_classes, seed=None, x=None, scores=None):
        if not self.wrong_labels:
            raise ValueError(
                f"Negatives of {type(self).__name__} carry no labels of their own. "
                f"Received: wrong_labels={self.wrong_labels}"
            )
        return super().labels(y, num_classes, seed, x, scores)

    def check(self, num_classes):
        if self.wrong_labels:
            super().check(num_classes)

    def get_config(self):
        return {**super().get_config(), "wrong_labels": self.wrong_labels}


@registered
class HybridImages(ImageNegatives):
    """Two samples mixed by a mask with large patches (Hinton 2022, §3.2).

    `negative = x · m + x′ · (1 − m)`, x′ another sample of the batch: right over short distances,
    wrong over long ones. The mask is uniform noise in [0, 1), blurred with [¼, ½, ¼] along both
    axes, again and again, and 1 where it is above 0.5. Where that leaves nearly one sample alone,
    the threshold moves just as far as `coverage` asks.

    Args:
        blurs: integer, how often the mask is blurred; once leaves it nearly noise. Defaults to `6`.
        coverage: pair of floats, 0 < lower < upper < 1: share of the pixels that x itself keeps,
            at least and at most. Defaults to `(0.3, 0.7)`.
        wrong_labels: boolean: whether a negative also carries a wrong label. Defaults to `False`.
        count: integer, negatives per sample. Defaults to `1`.
        seed: integer or `None`. Seed of the generator. Defaults to `None`: drawn, and set by
            `keras.utils.set_random_seed`.

    Call arguments:
        x: of `images`: tensor of shape (batch, height, width) or (batch, height, width,
            channels), at least two samples; all channels have one mask. Where the batch size is
            not known beforehand and turns out to be one, the sample is mixed with itself.

    Raises:
        ValueError: if an argument is out of its range, the samples are no images or too small
            for such a coverage, or the batch is known to hold one sample.

    Example:

    >>> import numpy as np
    >>> x = np.stack([np.zeros((8, 8, 1)), np.ones((8, 8, 1))])
    >>> negative = np.array(HybridImages(seed=0).images(x))
    >>> print(bool(np.all((0.3 <= negative.mean((1, 2))) & (negative.mean((1, 2)) <= 0.7))))
    True
    """

    def __init__(
        self, blurs=6, coverage=(0.3, 0.7), wrong_labels=False, count=1, seed=None, **kwargs
    ):
        super().__init__(wrong_labels=wrong_labels, count=count, seed=seed, **kwargs)
        self.blurs = checks.whole_number(blurs, "blurs")
        if not isinstance(coverage, (list, tuple)) or len(coverage) != 2:
            raise ValueError(
                f"`coverage` must be two shares, (0.3, 0.7). Received: coverage={coverage!r}"
            )
        lower, upper = (checks.share(bound, "coverage") for bound in coverage)
        if not 0 < lower < upper:
            raise ValueError(
                "`coverage` must hold a lower and an upper share, 0 < lower < upper < 1. "
                f"Received: coverage={coverage!r}"
            )
        self.coverage = (lower, upper)

    def images(self, x, seed=None):
        self.output_shape(x.shape)
        draws = self.draws("images", seed)
        x = ops.cast(x, "float32")
        rows = self.count * ops.shape(x)[0]
        others = ops.take(x, another_sample(x, self.count, next(draws)), axis=0)
        mask = self.mask(rows, *x.shape[1:3], next(draws))
        mask = ops.reshape(mask, (-1, *x.shape[1:3]) + (1,) * (len(x.shape) - 3))
        repeated = ops.tile(x, (self.count,) + (1,) * (len(x.shape) - 1))
        return ops.where(mask, repeated, others)

    def mask(self, rows, height, width, seed):
        """Booleans of shape (rows, height · width): where a negative shows its first sample."""
        fewest, most = self._pixels(height, width)
        noise = keras.random.uniform((rows, height, width), dtype="float32", seed=seed)
        blurred = ops.matmul(_blur(height, self.blurs), noise)
        blurred = ops.matmul(blurred, ops.transpose(_blur(width, self.blurs)))
        # Whole numbers, no two alike in a mask, so that a threshold parts them at any count.
        pixels = height * width
        levels = 2**30 // pixels
        ranks = ops.cast(ops.reshape(blurred, (-1, pixels)) * levels, "int32") * pixels
        ranks = ranks + ops.arange(pixels, dtype="int32")
        ordered = ops.sort(ranks, axis=1)
        threshold = ops.full_like(ordered[:, :1], levels // 2 * pixels)
        threshold = ops.maximum(threshold, ordered[:, pixels - most - 1, None])
        threshold = ops.minimum(threshold, ordered[:, pixels - fewest - 1, None])
        return ranks > threshold

    def output_shape(self, input_shape):
        _check_image(input_shape, "HybridImages", "a mask has a height and a width")
        _check_batch(input_shape)
        self._pixels(*input_shape[1:3])
        return tuple(input_shape)

    def _pixels(self, height, width):
        """How many pixels x keeps, at least and at most."""
        lower, upper = (share * height * width for share in self.coverage)
        fewest, most = math.ceil(lower - 1e-6), math.floor(upper + 1e-6)
        if fewest > most:
            raise ValueError(
                f"No whole number of {height * width} pixels lies in the coverage. "
                f"Received: coverage={self.coverage}, images of {height} × {width} pixels"
            )
        return fewest, most

    def get_config(self):
        return {**super().get_config(), "blurs": self.blurs, "coverage": self.coverage}


@registered
class Perturbation(ImageNegatives):
    """The sample with noise added and a window blanked.

    Gaussian noise with a standard deviation of `noise` times the sample's own root mean square;
    then a window at a random position is set to 0 in all channels. The window has the image's
    proportions, so it is square in a square image, and is rounded to whole pixels, at least one.

    Args:
        noise: float, 0 or above: standard deviation of the noise as a share of the sample's root
            mean square. Defaults to `0.3`.
        occlusion: float in [0, 1): share of the image's area that the window covers. Defaults to
            `0.1`.
        wrong_labels: boolean: whether a negative also carries a wrong label. Defaults to `False`.
        count: integer, negatives per sample. Defaults to `1`.
        seed: integer or `None`. Seed of the generator. Defaults to `None`: drawn, and set by
            `keras.utils.set_random_seed`.

    Call arguments:
        x: of `images`: tensor of shape (batch, height, width), (batch, height, width, channels)
            or, with noise alone, any other.

    Raises:
        ValueError: if an argument is out of its range, both are 0, or samples that are no images
            should be occluded.

    Example:

    >>> import numpy as np
    >>> x = np.ones((1, 4, 4))
    >>> negative = np.array(Perturbation(noise=0.0, occlusion=0.25, seed=0).images(x))
    >>> print(negative.sum())  # 4 of 16 pixels are blank
    12.0
    """

    def __init__(self, noise=0.3, occlusion=0.1, wrong_labels=False, count=1, seed=None, **kwargs):
        super().__init__(wrong_labels=wrong_labels, count=count, seed=seed, **kwargs)
        self.noise = checks.finite_number(noise, "noise")
        if self.noise < 0:
            raise ValueError(f"`noise` must not be below 0. Received: noise={noise!r}")
        self.occlusion = checks.share(occlusion, "occlusion")
        if not self.noise and not self.occlusion:
            raise ValueError(
                "Without noise and without occlusion negatives are the positives. "
                f"Received: noise={noise!r}, occlusion={occlusion!r}"
            )

    def images(self, x, seed=None):
        self.output_shape(x.shape)
        draws = self.draws("images", seed)
        x = ops.cast(x, "float32")
        x = ops.tile(x, (self.count,) + (1,) * (len(x.shape) - 1))
        if self.noise:
            noise = keras.random.normal(ops.shape(x), dtype="float32", seed=next(draws))
            x = x + self.noise * root_mean_square(x) * noise
        if self.occlusion:
            x = ops.where(self._window(x, draws), 0.0, x)
        return x

    def _window(self, x, draws):
        """Booleans of shape (rows, height, width[, 1]): where the window lies."""
        inside = True
        for axis in (1, 2):
            size = x.shape[axis]
            side = max(1, round(size * math.sqrt(self.occlusion)))
            start = keras.random.uniform((ops.shape(x)[0], 1), dtype="float32", seed=next(draws))
            start = ops.cast(start * (size - side + 1), "int32")
            place = ops.arange(size, dtype="int32")
            within = ops.logical_and(place >= start, place < start + side)
            shape = [1] * len(x.shape)
            shape[0], shape[axis] = -1, size
            inside = ops.logical_and(inside, ops.reshape(within, shape))
        return inside

    def output_shape(self, input_shape):
        if self.occlusion:
            _check_image(input_shape, "Perturbation", "occlusion=0.0 does without a window")
        return tuple(input_shape)

    def get_config(self):
        return {**super().get_config(), "noise": self.noise, "occlusion": self.occlusion}


def another_sample(x, count, seed):
    """Row numbers of shape (count · batch,): another sample of the batch for each, never itself.

    In each of the `count` streams every sample is another's partner once. A batch of one sample,
    where that is not known beforehand, has only itself.
    """
    _check_batch(x.shape)
    batch = ops.shape(x)[0]
    # The samples stand in a ring, in random order; each takes its neighbour.
    keys = keras.random.uniform((count, batch), dtype="float32", seed=seed)
    ring = ops.argsort(keys, axis=1)
    place = ops.argsort(ring, axis=1)
    neighbours = ops.roll(ring, -1, axis=1)
    return ops.reshape(ops.take_along_axis(neighbours, place, axis=1), (-1,))


def _blur(size, times):
    """The matrix that blurs `size` pixels `times` over, mirrored at the edges."""
    once = 0.5 * np.eye(size) + 0.25 * (np.eye(size, k=1) + np.eye(size, k=-1))
    once[0, 0] += 0.25
    once[-1, -1] += 0.25
    return np.linalg.matrix_power(once, times).astype("float32")


def _check_image(shape, kind, because):
    if len(shape) not in (3, 4):
        raise ValueError(
            f"{kind} needs images, of shape (height, width) or (height, width, channels): "
            f"{because}. Received: samples of shape {tuple(shape[1:])}"
        )


def _check_batch(shape):
    if shape[0] == 1:
        raise ValueError(
            "A negative of two samples needs a batch of at least two. "
            f"Received: a batch of shape {tuple(shape)}"
        )
