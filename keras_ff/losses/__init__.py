"""Losses on the goodness of a layer's positive and negative samples.

Each is called `loss(positive_goodness, negative_goodness)` and returns one value per sample. The
negative goodness has shape (batch,) or, with several negatives per sample, (batch, several); with
several, the pair losses average over them. All are computed in float32 and written with softplus
and log-sum-exp, so they neither overflow nor lose their gradient to rounding.
"""

import keras

from keras_ff.losses.base import AUTO, FFLoss
from keras_ff.losses.class_loss import ClassLoss
from keras_ff.losses.class_trees import class_means as class_means, class_tree as class_tree
from keras_ff.losses.coarse_classes import CoarseClasses as CoarseClasses
from keras_ff.losses.label_softmax import LabelSoftmax
from keras_ff.losses.logistic import AUTO_THRESHOLD, LEARNED, Logistic
from keras_ff.losses.similarity_matching import SimilarityMatching as SimilarityMatching
from keras_ff.losses.sup_con import SupCon as SupCon
from keras_ff.losses.symba import SymBa
from keras_ff.utils import registry

KNOWN = {
    "logistic": Logistic,
    "symba": SymBa,
    "label_softmax": LabelSoftmax,
    "sparse_categorical_crossentropy": ClassLoss,
}


def get(identifier):
    """A loss by name, object or configuration; see `keras_ff.utils.registry.get`."""
    if isinstance(identifier, keras.losses.SparseCategoricalCrossentropy):
        return ClassLoss(identifier)
    return registry.get(identifier, FFLoss, KNOWN, "loss")
