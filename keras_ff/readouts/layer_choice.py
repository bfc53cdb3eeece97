"""Which layers a readout uses."""

import numbers

from keras import ops

from keras_ff.layers.layer_metrics import SilentMetric

ALL = "all"
VALIDATION = "validation"


def checked_layers(layers):
    """`layers` as `"all"`, `None` or a list of indices; ValueError otherwise."""
    if layers is None or (isinstance(layers, str) and layers == ALL):
        return layers
    listed = isinstance(layers, (list, tuple)) and len(layers) > 0
    if listed and all(_is_index(index) for index in layers):
        return [int(index) for index in layers]
    raise ValueError(
        "`layers` must be 'all' or a list of layer indices, 0 the first, -1 the last. "
        f"Received: layers={layers!r}"
    )


def _is_index(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def chosen(layers, num_layers):
    """Which of `num_layers` layers count, as a list of booleans."""
    if layers == ALL:
        return [True] * num_layers
    if layers is None:
        return [index > 0 or num_layers == 1 for index in range(num_layers)]
    wrong = [index for index in layers if not -num_layers <= index < num_layers]
    if wrong:
        raise ValueError(
            f"The model has {num_layers} FF layers, 0 to {num_layers - 1}; the readout names "
            f"others. Received: layers={layers!r}"
        )
    wanted = {index % num_layers for index in layers}
    return [index in wanted for index in range(num_layers)]


def trained(layers_trained, num_layers):
    """Which layers may count, given how many have been trained: all while none has."""
    indices = ops.arange(num_layers, dtype="int32")
    return ops.logical_or(indices < layers_trained, ops.equal(layers_trained, 0))


def counts(layers, trained):
    """1.0 for chosen layers that are trained (for all trained ones if none is), 0.0 for others."""
    wanted = chosen(layers, trained.shape[0])
    if all(wanted):
        return ops.cast(trained, "float32")
    both = ops.logical_and(trained, ops.convert_to_tensor(wanted))
    return ops.cast(ops.where(ops.any(both), both, trained), "float32")


def runs(num_layers):
    """All unbroken runs of layers, as pairs of the first layer and the end."""
    return [(first, end) for first in range(num_layers) for end in range(first + 1, num_layers + 1)]


class LayerHits(SilentMetric):
    """How many samples every run of layers gets right by itself, and how far its scores spread."""

    def __init__(self, num_layers):
        super().__init__(name="layer_hits", dtype="int32")
        self.runs = runs(num_layers)
        self.hits = self.add_variable(
            shape=(len(self.runs),), initializer="zeros", dtype="int32", name="hits"
        )
        self.variance = self.add_variable(
            shape=(len(self.runs),), initializer="zeros", dtype="float32", name="variance"
        )

    def update_state(self, goodness, labels):
        """Count a batch; `goodness` is every layer's, of shape (batch, num_classes)."""
        hits, variance = [], []
        for first, end in self.runs:
            scores = sum(goodness[first:end])
            best = ops.argmax(scores, axis=1)
            hits.append(ops.sum(ops.cast(ops.equal(best, ops.cast(labels, best.dtype)), "int32")))
            variance.append(ops.sum(ops.var(scores, axis=1)))
        self.hits.assign_add(ops.stack(hits))
        self.variance.assign_add(ops.stack(variance))
