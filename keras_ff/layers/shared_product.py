"""The first dense layer's product with the pixels, computed once for all labels of a sample.

A sample with a label in it is `x₀ + s·e`: the pixels with the label's own inputs blanked, and the
label's direction with its length. Both are orthogonal, and the length is the same for every
label, so that length normalisation multiplies all of a sample's streams by the same r, and

    W(r·(x₀ + s·e)) = r·(x₀W) + r·s·(eW).

The first term, almost all the work, is shared; so is its part of the weights' gradient.
"""

from keras import ops

from keras_ff.labelled_samples import LabelledSamples
from keras_ff.layers.length_normalization import LengthNormalization


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
    pixels, length, patterns = inputs.embedding.separate(inputs.x, inputs.num_classes)
    if layer.normalization is not None:
        energy = ops.sum(ops.square(pixels), axis=1, keepdims=True) + ops.square(length)
        scale = ops.rsqrt(energy / pixels.shape[1] + layer.normalization.epsilon)
        pixels, length = pixels * scale, length * scale
    dense = layer.transform
    kernel = ops.cast(dense.kernel, layer.compute_dtype)
    of_pixels = ops.matmul(ops.cast(pixels, layer.compute_dtype), kernel)
    of_patterns = ops.matmul(ops.cast(patterns, layer.compute_dtype), kernel)
    labels = ops.reshape(ops.one_hot(inputs.labels, inputs.num_classes), (-1, inputs.num_classes))
    rows = ops.cast(labels * ops.tile(length, (inputs.streams, 1)), layer.compute_dtype)
    units = of_patterns.shape[1]
    of_labels = ops.reshape(ops.matmul(rows, of_patterns), (inputs.streams, -1, units))
    product = ops.reshape(of_labels + ops.expand_dims(of_pixels, 0), (-1, units))
    if dense.bias is not None:
        product = product + ops.cast(dense.bias, layer.compute_dtype)
    return product
