"""Samples and the labels of all streams, on their way into the first layer."""

from keras import ops


class LabelledSamples:
    """Samples with several labels each, not embedded yet.

    What the samples share (a first layer's product with the pixels, most of its work) need not be
    computed once a label; and a label embedding that learns is applied under the tape of the
    layer that it belongs to.

    Args:
        embedding: object of `keras_ff.labels`.
        x: tensor of shape (batch, ...), or (streams · batch, ...) where each stream has samples of
            its own.
        labels: integer tensor of shape (streams, batch).
        num_classes: number of classes.
        own_samples: boolean, whether each stream has samples of its own. Defaults to `False`.
        move: tensor that is added to the embedded samples. Defaults to `None`.
    """

    def __init__(self, embedding, x, labels, num_classes, own_samples=False, move=None):
        self.embedding = embedding
        self.x = x
        self.labels = labels
        self.num_classes = num_classes
        self.own_samples = own_samples
        self.move = move

    @property
    def differ_in_labels_alone(self):
        """Whether a sample's streams share all but the label."""
        return not self.own_samples and self.move is None

    @property
    def streams(self):
        """Number of labels a sample."""
        return self.labels.shape[0]

    def embedded(self):
        """float32 tensor of shape (streams · batch, ...): one stream after the other."""
        x = self.x
        if not self.own_samples:
            x = ops.tile(x, (self.streams,) + (1,) * (len(x.shape) - 1))
        samples = self.embedding(x, ops.reshape(self.labels, (-1,)), self.num_classes)
        return samples if self.move is None else samples + self.move


def embedded(inputs):
    """`inputs` as a tensor, whether they are labelled samples or a tensor already."""
    return inputs.embedded() if isinstance(inputs, LabelledSamples) else inputs
