"""Negatives of two views: two samples side by side, against one sample twice."""

import keras
from keras import ops

from keras_ff.negatives.image_negatives import ImageNegatives, another_sample
from keras_ff.utils import registry
from keras_ff.utils.registry import registered


@registered
class TwoViews(ImageNegatives):
    """Two views side by side: of one sample in positives, of two samples in negatives.

    Self-contrastive Forward-Forward (Chen et al., Nat. Commun. 2025), which needs no labels:
    `positive = [view(x), view(x)]`, `negative = [view(x), view(x′)]` with x′ another sample of the
    batch, and for scoring `neutral = [x, x]`, along the last axis.

    Args:
        augmentation: a Keras layer that makes a view of a sample and keeps its shape, such as
            `keras.layers.RandomTranslation(0.1, 0.1)`, called with `training=True`; or `None`.
            Defaults to `None`: a view is the sample itself.
        count: integer, negatives per sample. Defaults to `1`.
        seed: integer or `None`. Seed of the generator that chooses x′. Defaults to `None`: drawn,
            and set by `keras.utils.set_random_seed`.

    Call arguments:
        x: of `images` and `positives`: tensor of shape (batch, ..., channels), for `images` at
            least two samples. Where the batch size is not known beforehand and turns out to be
            one, x′ is x.

    Raises:
        ValueError: if `augmentation` is no Keras layer or changes a sample's shape, `count` is
            below 1, or the batch is known to hold one sample.

    Example:

    >>> import numpy as np
    >>> source, x = TwoViews(), np.array([[1.0], [2.0]])
    >>> print(np.array(source.positives(x)), np.array(source.images(x)))
    [[1. 1.]
     [2. 2.]] [[1. 2.]
     [2. 1.]]
    """

    def __init__(self, augmentation=None, count=1, seed=None, **kwargs):
        super().__init__(wrong_labels=False, count=count, seed=seed, **kwargs)
        self.augmentation = registry.get(augmentation, keras.layers.Layer, {}, "augmentation")

    def images(self, x, seed=None):
        draws = self.draws("images", seed)
        x = ops.cast(x, "float32")
        others = ops.take(x, another_sample(x, self.count, next(draws)), axis=0)
        x = ops.tile(x, (self.count,) + (1,) * (len(x.shape) - 1))
        return self._beside(self._view(x, draws), self._view(others, draws))

    def positives(self, x, seed=None):
        draws = self.draws("positives", seed)
        x = ops.cast(x, "float32")
        return self._beside(self._view(x, draws), self._view(x, draws))

    def neutral(self, x):
        x = ops.cast(x, "float32")
        return self._beside(x, x)

    def output_shape(self, input_shape):
        return (*input_shape[:-1], 2 * input_shape[-1])

    @staticmethod
    def _beside(left, right):
        return ops.concatenate([left, right], axis=-1)

    def _view(self, x, draws):
        """A view of each sample, in float32."""
        if self.augmentation is None:
            return x
        if not self.augmentation.built:
            self.augmentation.build((None, *x.shape[1:]))
        source = next(draws)
        if source is self.generator:
            view = self.augmentation(x, training=True)
        else:
            # The augmentation's own generators count from the integer, and stay as they were.
            weights = {id(weight) for weight in self.augmentation.weights}
            states = [state for state in self.augmentation.variables if id(state) not in weights]
            given = [(state, [source, index]) for index, state in enumerate(states)]
            with keras.StatelessScope(state_mapping=given):
                view = self.augmentation(x, training=True)
        if tuple(view.shape[1:]) != tuple(x.shape[1:]):
            raise ValueError(
                "`augmentation` must keep the shape of a sample, so that training and scoring see "
                f"one shape. Received: samples of shape {tuple(x.shape[1:])}, views of shape "
                f"{tuple(view.shape[1:])}"
            )
        return ops.cast(view, "float32")

    def get_config(self):
        config = super().get_config()
        del config["wrong_labels"]
        return {**config, "augmentation": keras.saving.serialize_keras_object(self.augmentation)}
