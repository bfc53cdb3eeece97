"""Negatives: where a layer's negative samples come from.

Two families. *Label negatives* keep the sample and give it a wrong label:
`labels(y, num_classes)` draws them. *Image negatives* change the sample itself: `images(x)` makes
them, `positives(x)` and `neutral(x)` say what stands beside them, in training and in scoring.

Example:

>>> source = keras_ff.negatives.get("hybrid_images")
>>> source.are_images, source.needs_scores, source.adjusts
(True, False, False)
"""

from keras_ff.negatives.adversarial import Adversarial
from keras_ff.negatives.base import Negatives
from keras_ff.negatives.image_negatives import HybridImages, ImageNegatives, Perturbation
from keras_ff.negatives.label_negatives import AllLabels, FixedLabels, HardLabels, RandomLabels
from keras_ff.negatives.two_views import TwoViews
from keras_ff.utils import registry

KNOWN = {
    "adversarial": Adversarial,
    "all_labels": AllLabels,
    "fixed_labels": FixedLabels,
    "hard_labels": HardLabels,
    "hybrid_images": HybridImages,
    "perturbation": Perturbation,
    "random_labels": RandomLabels,
    "two_views": TwoViews,
}

__all__ = [
    "KNOWN",
    "Adversarial",
    "AllLabels",
    "FixedLabels",
    "HardLabels",
    "HybridImages",
    "ImageNegatives",
    "Negatives",
    "Perturbation",
    "RandomLabels",
    "TwoViews",
    "get",
]


def get(identifier):
    """Negatives by name, object or configuration; see `keras_ff.utils.registry.get`."""
    return registry.get(identifier, Negatives, KNOWN, "source of negatives")
