"""LayerFigures: what a layer reports of itself, averaged over an epoch."""

import keras
from keras import ops

from keras_ff.utils.sample_means import mean_of_samples


class LayerFigures(keras.metrics.Metric):
    """Weighted means of a layer's figures; nan, not zero, where nothing was measured.

    One metric for all figures of a layer, since a deep model has many.

    Args:
        number: integer, that of the layer, counted from 1: figures are logged as
            `layer_{number}/{figure}`.
        figures: names of the figures, as of `FFLayer.figure_names`.
    """

    def __init__(self, number, figures):
        super().__init__(name=f"layer_{number}", dtype="float32")
        self.figures = figures
        self.log_names = [f"{self.name}/{figure}" for figure in figures]
        self.total = self.add_variable(
            shape=(len(figures),), initializer="zeros", dtype="float32", name="total"
        )
        self.count = self.add_variable(shape=(), initializer="zeros", dtype="float32", name="count")

    def update_state(self, figures, sample_weight):
        """Add the figures of a batch, a dictionary of tensors, and the weight of their means."""
        weight = ops.cast(sample_weight, "float32")
        means = ops.stack([mean_of_samples(figures[name]) for name in self.figures])
        self.total.assign_add(weight * means)
        self.count.assign_add(weight)

    def result(self):
        """A dictionary of the means so far."""
        means = ops.where(self.count > 0, self.total / ops.maximum(self.count, 1e-12), float("nan"))
        return dict(zip(self.log_names, ops.unstack(means), strict=True))
