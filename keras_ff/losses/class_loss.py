"""ClassLoss: Keras's cross-entropy on the goodness of class groups."""

import keras
from keras import ops

from keras_ff.losses.base import FFLoss
from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class ClassLoss(FFLoss):
    """A Keras loss on one goodness per class: the cross-entropy of the true class.

    `loss = −log softmax(G)_label`, for `ClassGroups` and `LocalClassifier`. `compile` and `FFLayer`
    put the Keras loss, or its name, in one of these.

    With label smoothing ε (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567) a share of ε of
    the target is spread evenly over all classes, so that a layer stops driving logits apart when
    it is right: `loss = −Σ_k q_k log softmax(G)_k` with `q_k = (1 − ε) [k = label] + ε / classes`,
    as in `keras.losses.CategoricalCrossentropy`. Accuracy and scores are measured as ever.

    Args:
        loss: a `keras.losses.SparseCategoricalCrossentropy` with `from_logits=True`, or `None`
            for a plain one.
        label_smoothing: float in [0, 1), ε. Defaults to `0.0`.

    Call arguments:
        labels: integer tensor of shape (batch,).
        class_goodness: tensor of shape (batch, num_classes).

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if the loss is another, or does not expect logits, if `label_smoothing` is out
            of its range, or goes with a loss that ignores a class.

    Example:

    >>> import numpy as np
    >>> loss = ClassLoss()
    >>> value = loss(np.array([1]), np.array([[1.0, 1.0]], "float32"))  # log 2
    >>> print(np.round(np.array(value), 4))
    [0.6931]
    >>> loss = ClassLoss(label_smoothing=0.2)  # targets 0.1 and 0.9
    >>> value = loss(np.array([1]), np.array([[0.0, 2.0]], "float32"))
    >>> print(np.round(np.array(value), 4))
    [0.3269]
    """

    per_class = True

    def __init__(self, loss=None, label_smoothing=0.0):
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        if isinstance(loss, dict):
            loss = keras.saving.deserialize_keras_object(loss)
        fits = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
        if not fits or not loss.get_config()["from_logits"]:
            raise ValueError(
                "Class groups give logits, and labels are integers: use "
                "keras.losses.SparseCategoricalCrossentropy(from_logits=True). "
                f"Received: {loss!r}"
            )
        self.loss = loss
        self.label_smoothing = checks.share(label_smoothing, "label_smoothing")
        if self.label_smoothing and loss.ignore_class is not None:
            raise ValueError(
                "Labels are not smoothed where a class is ignored. "
                f"Received: label_smoothing={label_smoothing!r} and "
                f"ignore_class={loss.ignore_class!r}"
            )

    def __call__(self, labels, class_goodness):
        logits = ops.cast(class_goodness, "float32")
        losses = self.loss.call(labels, logits)
        if not self.label_smoothing:
            return losses
        of_all_classes = -ops.mean(ops.log_softmax(logits, axis=-1), axis=-1)
        return (1 - self.label_smoothing) * losses + self.label_smoothing * of_all_classes

    def get_config(self):
        return {
            "loss": keras.saving.serialize_keras_object(self.loss),
            "label_smoothing": self.label_smoothing,
        }
