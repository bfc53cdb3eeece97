"""Batch: samples and their negatives in front of a layer."""

import dataclasses
from typing import Any

from keras import ops

TENSORS = ("inputs", "stream_labels", "labels", "sample_weight", "skips", "perturbation")


@dataclasses.dataclass(frozen=True, eq=False)
class Batch:
    """A batch of samples in front of a layer, in all its streams.

    Args:
        inputs: tensor of shape (streams · batch, ...): one stream after the other along the batch
            axis, the positives first. Where `stream_labels` is given, samples whose labels are not
            embedded yet.
        streams: integer, 1 + the number of negatives per sample. Class groups have one stream.
            Defaults to `2`.
        stream_labels: int32 tensor of shape (labels per row, rows of `inputs`), the labels to
            embed: (streams, batch) where the streams share their samples, else (1, streams ·
            batch). Defaults to `None`: nothing to embed.
        labels: int32 tensor of shape (batch,), the true classes, for class groups and auxiliary
            terms that need them. Defaults to `None`.
        sample_weight: tensor of shape (batch,), weights of the samples' losses. Defaults to `None`.
        skips: tuple with the inputs of the last layers, the latest last, as far as a residual
            layer looks back. Defaults to none.
        perturbation: tensor that is added once the labels are embedded. Defaults to `None`.
        layer: integer, index of the FF layer that takes the batch next. Defaults to `0`.

    Example:

    >>> import numpy as np
    >>> batch = Batch(np.concatenate([np.ones((4, 8)), -np.ones((4, 8))]))
    >>> batch.streams, batch.next(np.zeros((8, 16))).layer
    (2, 1)
    """

    inputs: Any
    streams: int = 2
    stream_labels: Any = None
    labels: Any = None
    sample_weight: Any = None
    skips: tuple = ()
    perturbation: Any = None
    layer: int = 0

    @classmethod
    def of(cls, inputs):
        """`inputs` as a batch: itself, or arrays of positives and then negatives."""
        return inputs if isinstance(inputs, cls) else cls(inputs)

    def embedded(self, label_embedding, num_classes):
        """The inputs, a tensor of shape (streams · batch, ...), with their labels in them."""
        inputs = self.inputs
        if self.stream_labels is not None:
            copies = self.stream_labels.shape[0]
            if copies > 1:
                inputs = ops.tile(inputs, (copies,) + (1,) * (len(inputs.shape) - 1))
            inputs = label_embedding(inputs, ops.reshape(self.stream_labels, (-1,)), num_classes)
        return inputs if self.perturbation is None else inputs + self.perturbation

    def next(self, outputs):
        """The same batch in front of the next layer, which takes `outputs`."""
        layer = self.layer + 1
        return self.replace(inputs=outputs, stream_labels=None, perturbation=None, layer=layer)

    def replace(self, **changed):
        """The same batch with other entries."""
        return dataclasses.replace(self, **changed)

    # Only tensors pass the boundaries of compiled functions.

    def tensors(self):
        """All tensors, as a dictionary."""
        return {name: getattr(self, name) for name in TENSORS}

    def with_tensors(self, tensors):
        """The same batch with the tensors of a dictionary as from `tensors`."""
        return self.replace(**{**tensors, "skips": tuple(tensors["skips"])})
