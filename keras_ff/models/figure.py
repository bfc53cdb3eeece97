"""Figure: what a layer reports of itself, averaged over an epoch."""

import keras
from keras import ops


class Figure(keras.metrics.Mean):
    """A weighted mean that is nan, not zero, where nothing was measured."""

    def result(self):
        return ops.where(self.count > 0, super().result(), float("nan"))
