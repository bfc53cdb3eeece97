"""Samples and the labels of all streams, on their way into the first layer."""

from keras import ops


class LabelledSamples:
    """Samples with several labels each, not embedded yet.

    What the samples share (a first layer's product with the pixels, most of its work) need not be
    computed once a label; and a label embedding that learns is applied under the tape of the
    layer that it belongs to.

    Args:
        embedding: object of `keras_ff.labels`.
        x: tensor of shape (batch, ...).
        labels: integer tensor of shape (streams, batch).
        num_classes: number of classes.
    """

    def __init__(self, embedding, x, labels, num_classes):
        self.embedding = embedding
        self.x = x
        self.labels = labels
        self.num_classes = num_classes

    @property
    def streams(self):
        """Number of labels a sample."""
        return self.labels.shape[0]

    def embedded(self):
        """float32 tensor of shape (streams · batch, ...): one stream after the other."""
        x = ops.tile(self.x, (self.streams,) + (1,) * (len(self.x.shape) - 1))
        return self.embedding(x, ops.reshape(self.labels, (-1,)), self.num_classes)


def embedded(inputs):
    """`inputs` as a tensor, whether they are labelled samples or a tensor already."""
    return inputs.embedded() if isinstance(inputs, LabelledSamples) else inputs
