"""The first dense layer's product with the pixels, computed once for all labels of a sample.

A sample with a label in it is `x₀ + s·e`: the pixels with the label's own inputs blanked, and the
label's direction with its length. Both are orthogonal, and the length is the same for every
label, so that length normalisation multiplies all of a sample's streams by the same r, and

    W(r·(x₀ + s·e)) = r·(x₀W) + r·s·(eW).

The first term, almost all the work, is shared; so is its part of the weights' gradient.
"""

from keras import ops

from keras_ff.layers.ff_dense import FFDense
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.normalizations.length_normalization import LengthNormalization


def applies(layer, batch):
    """Whether a layer may take a batch this way."""
    normalization = layer.normalization
    is_plain = normalization is None or (
        isinstance(normalization, LengthNormalization) and normalization.is_one_factor
    )
    return (
        isinstance(layer, FFDense)
        and all(getattr(type(layer), name) is getattr(FFLayer, name) for name in OVERRIDABLE)
        and batch.stream_labels is not None
        and batch.stream_labels.shape[0] > 1  # the streams share their samples
        and batch.perturbation is None
        and hasattr(layer.label_embedding, "separate")
        and is_plain
        and layer.transform.quantization_mode is None
        # Keras applies these where it calls a layer, which is passed over here.
        and layer.activity_regularizer is None
        and layer.transform.activity_regularizer is None
    )


# A subclass that has a way of its own takes it.
OVERRIDABLE = ("forward", "call", "pre_activation", "embed")


def pre_activation(layer, batch):
    """As `layer.pre_activation`, for the samples of a batch with all their labels."""
    rows, lengths, complete = separated(layer, batch)
    dense = layer.transform
    kernel = ops.cast(dense.kernel, layer.compute_dtype)
    product = ops.cast(ops.matmul(ops.cast(rows, layer.compute_dtype), kernel), "float32")
    product = complete(product, lengths)
    if dense.bias is not None:
        product = product + ops.cast(dense.bias, "float32")
    return ops.cast(product, layer.compute_dtype)


def separated(layer, batch):
    """What of a batch is multiplied, and how the products are put together.

    Returns rows of shape (batch + num_classes, features), the pixels and the directions of the
    labels; the labels' lengths; and a function that makes of the rows' float32 product with the
    kernel and of these what the transform gives, without its bias.
    """
    num_classes, streams = layer.num_classes, batch.stream_labels.shape[0]
    pixels, length, directions = layer.label_embedding.separate(batch.inputs, num_classes)
    if layer.normalization is not None:
        energy = ops.sum(ops.square(pixels), axis=1, keepdims=True) + ops.square(length)
        scale = ops.rsqrt(energy / pixels.shape[1] + layer.normalization.epsilon)
        pixels, length = pixels * scale, length * scale
    labels = ops.reshape(batch.stream_labels, (-1,))
    labels = ops.one_hot(labels, num_classes, dtype="float32")
    lengths = labels * ops.tile(length, (streams, 1))

    def complete(product, lengths):
        of_pixels, of_directions = product[:-num_classes], product[-num_classes:]
        of_labels = ops.matmul(lengths, of_directions)
        of_streams = ops.reshape(of_labels, (streams, -1, product.shape[1]))
        return ops.reshape(of_streams + ops.expand_dims(of_pixels, 0), (-1, product.shape[1]))

    return ops.concatenate([pixels, directions]), lengths, complete
