"""Losses of samples, and the figures shown beside them, from a layer's goodness."""

from keras import ops

CONTRAST = ("loss", "positive_goodness", "negative_goodness", "pairs_told_apart")
COMPETITION = ("loss", "goodness", "accuracy")


def of_contrast(loss, goodness, streams, threshold=None):
    """Positives beside negatives.

    Args:
        loss: object of `keras_ff.losses`.
        goodness: float32 tensor of shape (streams · batch,), positives first.
        streams: integer, 1 + the number of negatives a sample.
        threshold: variable that the loss learns, or `None`.

    Returns:
        A pair: losses of shape (batch,), and a dictionary of figures of that shape.
    """
    goodness = ops.reshape(goodness, (streams, -1))
    positive, negative = goodness[0], ops.transpose(goodness[1:])
    learned = {} if threshold is None else {"threshold": ops.cast(threshold, "float32")}
    told_apart = ops.cast(ops.expand_dims(positive, 1) > negative, "float32")
    return loss(positive, negative, **learned), {
        "positive_goodness": positive,
        "negative_goodness": ops.mean(negative, axis=1),
        "pairs_told_apart": ops.mean(told_apart, axis=1),
    }


def of_competition(loss, goodness, labels):
    """Class groups among each other.

    Args:
        loss: a `keras_ff.losses.ClassLoss`.
        goodness: float32 tensor of shape (batch, num_classes).
        labels: int32 tensor of shape (batch,).

    Returns:
        A pair as from `of_contrast`; the figure `class_goodness` is `goodness` itself.
    """
    true = ops.take_along_axis(goodness, ops.expand_dims(labels, 1), axis=1)[:, 0]
    most = ops.cast(ops.equal(ops.argmax(goodness, axis=1), labels), "float32")
    return loss(labels, goodness), {"goodness": true, "accuracy": most, "class_goodness": goodness}
