"""ClassLoss: Keras's cross-entropy on the goodness of class groups."""

import keras
from keras import ops

from keras_ff.losses.base import FFLoss
from keras_ff.utils.registry import registered


@registered
class ClassLoss(FFLoss):
    """A Keras loss on the class goodness of `ClassGroups`: the cross-entropy of the true class.

    `loss = −log softmax(G)_label`. `compile` and `FFLayer` put the Keras loss, or its name, in one
    of these.

    Args:
        loss: a `keras.losses.SparseCategoricalCrossentropy` with `from_logits=True`, or `None`
            for a plain one.

    Call arguments:
        labels: integer tensor of shape (batch,).
        class_goodness: tensor of shape (batch, num_classes).

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if the loss is another, or does not expect logits.

    Example:

    >>> import numpy as np
    >>> loss = ClassLoss()
    >>> value = loss(np.array([1]), np.array([[1.0, 1.0]], "float32"))  # log 2
    >>> print(np.round(np.array(value), 4))
    [0.6931]
    """

    per_class = True

    def __init__(self, loss=None):
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

    def __call__(self, labels, class_goodness):
        return self.loss.call(labels, ops.cast(class_goodness, "float32"))

    def get_config(self):
        return {"loss": keras.saving.serialize_keras_object(self.loss)}
