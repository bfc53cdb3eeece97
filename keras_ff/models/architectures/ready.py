"""What the ready architectures share: how a family of layers is configured and becomes a model."""

from keras_ff.layers import FFConv2D
from keras_ff.models.ff_model import FFModel


def layer_arguments(class_groups, normalization="class_groups"):
    """Goodness and normalisation of a family's layers, as keyword arguments of `FFLayer`."""
    if not class_groups:
        return {"normalization": "length"}
    return {"goodness": "class_groups", "normalization": normalization}


def model_of(layers, num_classes, class_groups, label_embedding, kwargs):
    """An `FFModel` whose layers all learn at once, unless `kwargs` say otherwise."""
    defaults = {"layer_schedule": "simultaneous", "label_embedding": label_embedding}
    if class_groups:
        defaults = {**defaults, "label_embedding": None, "negatives": None}
    return FFModel(layers, num_classes, **{**defaults, **kwargs})


def convolutions(blocks, pooling, pool_last=False, **arguments):
    """Convolutional FF layers in blocks, with pooling that halves the image between them.

    `blocks` has an entry per block, a number of filters or a list of them. The last layer of a
    block pools, and its goodness is measured behind that. `arguments` are those of `FFConv2D`.
    """
    blocks = [block if isinstance(block, (list, tuple)) else [block] for block in blocks]
    layers = []
    for number, block in enumerate(blocks, start=1):
        pooled = number < len(blocks) or pool_last
        for position, filters in enumerate(block, start=1):
            pool = pooling(2) if pooled and position == len(block) else None
            layers.append(FFConv2D(filters, pooling=pool, **arguments))
    return layers
