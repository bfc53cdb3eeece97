"""The first dense layer's product with the pixels, computed once for all labels of a sample.

A sample with a label in it is `x₀ + s·e`: the pixels with the label's own inputs blanked, and the
label's direction with its length. Both are orthogonal, and the length is the same for every
label, so that length normalisation multiplies all of a sample's streams by the same r, and

    W(r·(x₀ + s·e)) = r·(x₀W) + r·s·(eW).

The first term, almost all the work, is shared; so is its part of the weights' gradient.
"""

from keras import ops

from keras_ff.labels.labelled_samples import LabelledSamples
from keras_ff.normalizations.length_normalization import LengthNormalization


def applies(layer, inputs):
    """Whether a dense layer may take these inputs this way."""
    normalization = layer.normalization
    plain_length = (
        isinstance(normalization, LengthNormalization)
        and not normalization.center
        and normalization.axis is None
    )
    return (
        isinstance(inputs, LabelledSamples)
        and inputs.differ_in_labels_alone
        and hasattr(inputs.embedding, "separate")
        and (normalization is None or plain_length)
        and layer.transform.quantization_mode is None
        # Keras applies these where it calls a layer, which is passed over here.
        and layer.activity_regularizer is None
        and layer.transform.activity_regularizer is None
    )


def shared_product(layer, inputs):
    """What a dense layer's transform answers for labelled samples.

    Args:
        layer: a built `FFDense` for which `applies` holds.
        inputs: the labelled samples.

    Returns:
        Tensor of shape (streams · batch, units), as from the layer's normalisation and transform.
    """
    rows, besides, complete = separated(layer, inputs)
    dense = layer.transform
    kernel = ops.cast(dense.kernel, layer.compute_dtype)
    product = ops.cast(ops.matmul(ops.cast(rows, layer.compute_dtype), kernel), "float32")
    product = complete(product, besides)
    if dense.bias is not None:
        product = product + ops.cast(dense.bias, "float32")
    return ops.cast(product, layer.compute_dtype)


def separated(layer, inputs):
    """What of labelled samples is multiplied, and how the products are put together.

    Args:
        layer, inputs: as for `shared_product`.

    Returns:
        A triple: rows of shape (batch + num_classes, features), the pixels and the directions of
        the labels; a tuple of tensors; and a function that makes of the rows' float32 product with
        the kernel and of that tuple what the transform answers to all streams, without its bias.
    """
    pixels, length, directions = inputs.embedding.separate(inputs.x, inputs.num_classes)
    if layer.normalization is not None:
        energy = ops.sum(ops.square(pixels), axis=1, keepdims=True) + ops.square(length)
        scale = ops.rsqrt(energy / pixels.shape[1] + layer.normalization.epsilon)
        pixels, length = pixels * scale, length * scale
    labels = ops.one_hot(ops.reshape(inputs.labels, (-1,)), inputs.num_classes)
    lengths = labels * ops.tile(length, (inputs.streams, 1))

    def complete(product, lengths):
        of_pixels, of_directions = (
            product[: -inputs.num_classes],
            product[-inputs.num_classes :],
        )
        of_labels = ops.matmul(lengths, of_directions)
        streams = ops.reshape(of_labels, (inputs.streams, -1, product.shape[1]))
        return ops.reshape(streams + ops.expand_dims(of_pixels, 0), (-1, product.shape[1]))

    return ops.concatenate([pixels, directions]), lengths, complete
