"""Label embeddings: how a class enters the input.

`embedding(x, labels, num_classes)` returns x with the classes in it; `labels=None` gives the
neutral input, in which every class stands equally. The label's energy (sum of squares) is
`strength` times that of the sample's own pixels, sample by sample: it depends neither on the rest
of the batch nor on which label it is, and it is the same for positives, negatives, neutrals and
scores.

Example:

>>> import numpy as np
>>> from keras_ff import labels
>>> embedding = labels.get("append")
>>> tuple(embedding(np.ones((2, 8, 8, 1)), np.array([3, 7]), num_classes=10).shape)
(2, 74)
"""

from keras_ff.labels.append import Append
from keras_ff.labels.label_embedding import SMALLEST_ENERGY, LabelEmbedding
from keras_ff.labels.label_map import LabelMap
from keras_ff.labels.overlay import Overlay
from keras_ff.labels.spatial_pattern import SpatialPattern
from keras_ff.labels.token_labels import TokenLabels
from keras_ff.utils import registry

KNOWN = {
    "append": Append,
    "overlay": Overlay,
    "label_map": LabelMap,
    "spatial_pattern": SpatialPattern,
    "token_labels": TokenLabels,
}


def get(identifier):
    """A label embedding by name, object or configuration; see `keras_ff.utils.registry.get`."""
    return registry.get(identifier, (LabelEmbedding, LabelMap), KNOWN, "label embedding")
