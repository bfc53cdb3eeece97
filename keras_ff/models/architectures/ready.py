"""What the ready architectures share: how a family of layers is configured and becomes a model."""

from keras_ff.layers import FFConv2D
from keras_ff.models.ff_model import FFModel


def layer_arguments(class_groups, normalization="class_groups"):
    """Goodness and normalisation of a family's layers, as keyword arguments of `FFLayer`.

    Args:
        class_groups: boolean.
        normalization: that of class groups; contrastive layers have length normalisation.
    """
    if not class_groups:
        return {"normalization": "length"}
    return {"goodness": "class_groups", "normalization": normalization}


def model_of(layers, num_classes, class_groups, label_embedding, kwargs):
    """An `FFModel` whose layers all learn at once, unless `kwargs` say otherwise.

    Args:
        layers, num_classes: as for `FFModel`.
        class_groups: boolean. Class groups have neither labels in their inputs nor negatives.
        label_embedding: that of the contrastive family.
        kwargs: dictionary, what the caller gave for `FFModel`.
    """
    defaults = {"layer_schedule": "simultaneous", "label_embedding": label_embedding}
    if class_groups:
        defaults = {**defaults, "label_embedding": None, "negatives": None}
    return FFModel(layers, num_classes, **{**defaults, **kwargs})


def convolutions(blocks, pooling, pool_last=False, **arguments):
    """Convolutional FF layers in blocks, with pooling between them.

    Args:
        blocks: list with an entry a block: a number of filters, or a list of them.
        pooling: class of a Keras pooling layer, which halves height and width.
        pool_last: boolean. Whether there is pooling behind the last block too. Defaults to `False`.
        **arguments: as for `FFConv2D`.

    Returns:
        A list of `FFConv2D`; the last one of a block pools, and its goodness is measured behind
        that.
    """
    blocks = [block if isinstance(block, (list, tuple)) else [block] for block in blocks]
    layers = []
    for number, block in enumerate(blocks, start=1):
        pooled = number < len(blocks) or pool_last
        for position, filters in enumerate(block, start=1):
            pool = pooling(2) if pooled and position == len(block) else None
            layers.append(FFConv2D(filters, pooling=pool, **arguments))
    return layers
