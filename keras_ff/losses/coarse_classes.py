"""CoarseClasses: early layers tell groups of classes apart, later ones the classes."""

import copy
import itertools

import keras
import numpy as np
from keras import ops

from keras_ff.losses.base import FFLoss
from keras_ff.losses.class_loss import ClassLoss
from keras_ff.utils import checks
from keras_ff.utils.registry import registered

# How the levels of a tree are dealt out to layers, by name: from the layer's index, the number of
# layers and that of levels to a level, the coarsest being 1.
DEALT = {
    "even": lambda index, num_layers, depth: min(1 + index * depth // num_layers, depth),
    "increasing": lambda index, num_layers, depth: min(1 + index, depth),
}


@registered
class CoarseClasses(FFLoss):
    """Cross-entropy over coarse classes, each of which is several classes taken together.

    The logit of coarse class j is the mean goodness of its classes, and the loss of a sample is
    `−log softmax(C)_coarse(label)` with `C_j = mean_{k in j} G_k` (HCL-FF, Yao et al. 2026,
    https://arxiv.org/abs/2605.24797; CwComp, Papachristodoulou et al. 2024,
    https://arxiv.org/abs/2312.12668, trains its first layers on the 20 superclasses of CIFAR-100).
    A layer's groups stay one per class, so that it is scored by classes as ever.

    With one level, `[0, 0, 1, 1]`, it is the loss of the layers that it is given to. With a tree,
    a list of levels from coarse to fine, it deals the levels out to the layers of a model, coarse
    ones first: `model.compile(loss=CoarseClasses(tree))`. The classes themselves are always the
    last level, whether the tree names it or not; layers of that level have the loss for classes.

    A layer that learns coarse classes is not asked to tell those within one apart. Its metric
    `accuracy` counts classes all the same: it says what the layer's goodness is worth by itself
    for scores, and stays low. The readout `Goodness("validation")` leaves out the layers that
    scores are better without, as the source does.

    Args:
        classes: list with the coarse class of every class, numbered from 0 without a gap; or a
            list of such lists, as of `keras_ff.losses.class_tree`, each dividing the coarse
            classes of the one before.
        levels: which level of D each of L layers has. `"even"`, layer i level
            min(1 + ⌊i·D/L⌋, D), i counted from 0; `"increasing"`, level min(1 + i, D), as the
            source has it for a hundred classes and more; or a list with a number from 1 to D for
            each layer. Defaults to `"even"`.
        loss: the loss over coarse classes and over classes, `keras_ff.losses.ClassLoss` or what
            that takes. Defaults to `None`: a plain cross-entropy.

    Call arguments:
        labels: integer tensor of shape (batch,), of classes.
        class_goodness: tensor of shape (batch, num_classes).

    Returns:
        float32 tensor of shape (batch,).

    Raises:
        ValueError: if coarse classes are not numbered without a gap, are fewer than two, or do
            not divide those of the level before; if a list of levels is not one number from 1 to
            D per layer; if goodness is that of another number of classes; or if a tree is called,
            not the loss of one layer that `for_layer` makes of it.

    Example:

    >>> loss = CoarseClasses([0, 0, 1])
    >>> value = loss(np.array([1]), np.array([[4.0, 0.0, 2.0]], "float32"))  # both logits are 2
    >>> print(np.round(np.array(value), 4))
    [0.6931]
    >>> tree = CoarseClasses([[0, 0, 1, 1]])
    >>> tree.for_layer(0, num_layers=4).classes
    [0, 0, 1, 1]
    >>> type(tree.for_layer(3, num_layers=4)).__name__
    'ClassLoss'
    """

    per_class = True

    def __init__(self, classes, levels="even", loss=None):
        self.classes = _as_lists(classes)
        self.is_tree = isinstance(self.classes[0], list)
        self.tree = _checked_tree(self.classes if self.is_tree else [self.classes])
        self.levels = _checked_levels(levels, len(self.tree))
        if isinstance(loss, dict):
            loss = keras.saving.deserialize_keras_object(loss)
        self.loss = loss if isinstance(loss, ClassLoss) else ClassLoss(loss)

    def for_layer(self, index, num_layers):
        if not self.is_tree:
            return self
        if isinstance(self.levels, str):
            level = DEALT[self.levels](index, num_layers, len(self.tree))
        elif len(self.levels) == num_layers:
            level = self.levels[index]
        else:
            raise ValueError(
                f"`levels` must hold one number per layer, {num_layers} here. "
                f"Received: levels={self.levels!r}"
            )
        if level == len(self.tree):
            return self.loss
        return CoarseClasses(self.tree[level - 1], loss=self.loss)

    def __call__(self, labels, class_goodness):
        if self.is_tree:
            raise ValueError(
                "A tree is dealt out to the layers of a model; call `for_layer(index, num_layers)` "
                f"first. Received: classes={self.classes!r}"
            )
        if class_goodness.shape[1] != len(self.classes):
            raise ValueError(
                f"The coarse classes are those of {len(self.classes)} classes. "
                f"Received: goodness of shape {tuple(class_goodness.shape)}"
            )
        members = np.eye(max(self.classes) + 1, dtype="float32")[self.classes]
        coarse = ops.matmul(ops.cast(class_goodness, "float32"), members / members.sum(axis=0))
        return self.loss(ops.take(np.array(self.classes, "int32"), labels), coarse)

    def get_config(self):
        # Copies: Keras wraps lists that it saves, and a caller's list must stay the caller's.
        return {
            "classes": copy.deepcopy(self.classes),
            "levels": copy.copy(self.levels),
            "loss": keras.saving.serialize_keras_object(self.loss),
        }


def _as_lists(classes):
    """Coarse classes as a list of integers, or a list of such lists; ValueError otherwise."""
    try:
        levels = np.asarray(classes)
    except ValueError:  # lists of several lengths
        levels = np.empty(0)
    if levels.ndim not in (1, 2) or not levels.size or not np.issubdtype(levels.dtype, np.integer):
        raise ValueError(
            "`classes` must be a list with the coarse class of every class, an integer from 0 on, "
            f"or a list of such lists of one length. Received: classes={classes!r}"
        )
    return levels.tolist()


def _checked_tree(tree):
    """Levels down to the classes themselves; ValueError where one is none of a tree."""
    for level in tree:
        if set(level) != set(range(max(level) + 1)) or max(level) < 1:
            raise ValueError(
                "Coarse classes must be two or more, numbered from 0 without a gap. "
                f"Received: {level!r}"
            )
    for coarse, fine in itertools.pairwise(tree):
        if len(set(zip(coarse, fine, strict=True))) > max(fine) + 1:
            raise ValueError(
                "Each level must divide the coarse classes of the one before, from coarse to fine. "
                f"Received: {fine!r} behind {coarse!r}"
            )
    num_classes = len(tree[0])
    return tree if max(tree[-1]) + 1 == num_classes else [*tree, list(range(num_classes))]


def _checked_levels(levels, depth):
    """A name out of `DEALT`, or a list of numbers of levels; ValueError otherwise."""
    if isinstance(levels, str) and levels in DEALT:
        return levels
    if isinstance(levels, (list, tuple)) and levels:
        numbers = [checks.whole_number(level, "levels") for level in levels]
        if max(numbers) <= depth:
            return numbers
    raise ValueError(
        f"`levels` must be {' or '.join(map(repr, DEALT))}, or a list with a number from 1 to "
        f"{depth}, the number of levels, for each layer. Received: levels={levels!r}"
    )
