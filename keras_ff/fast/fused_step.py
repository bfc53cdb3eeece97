"""A layer's local step as two products, one compiled kernel between them, and one behind.

A step of Forward-Forward needs a layer's forward product and that of its weights' gradient. All
between the two is element-wise: normalisation by length (a factor a sample, which may as well
follow the product), bias, activation, goodness, loss and their gradient by the product. Operation
by operation each would go through memory by itself; as one kernel they go once, which takes a
third off a step of 4 × 2000 units in bfloat16. The products stay outside, where the processor's
own library is several times faster than the compiler, and writes a convolution's bias and ReLU
along with its product, and sums the bias's gradient along with the kernel's. A convolution's inputs
are normalised by a kernel of their own.
"""

import functools

import keras
from keras import ops

from keras_ff import backends
from keras_ff.fast import label_product
from keras_ff.labels.labelled_samples import embedded
from keras_ff.normalizations.length_normalization import LengthNormalization
from keras_ff.utils import keras_internals

# Below, the kernels save less than they take to compile.
LEAST_ACTIVITIES = 512


def applies(layer):
    """Whether a built `FFLayer` may take its steps this way, with the same outcome."""
    transform = layer.transform
    return (
        layer.num_activities >= LEAST_ACTIVITIES
        and backends.can_fuse()
        and layer.is_two_parts
        and _product(transform) is not None
        and transform.trainable
        # What has a penalty or weights of its own takes the plain way.
        and not (transform.kernel_regularizer or transform.bias_regularizer)
        and not layer.auxiliary
        and not isinstance(layer.goodness, keras.layers.Layer)
        and not isinstance(layer.activation, keras.layers.Layer)
        and (layer.pooling is None or _is_plain(layer.pooling))
        # The compiler's gradient of a maximum is slower than all that it would save.
        and not isinstance(layer.pooling, keras.layers.MaxPooling2D)
        # A gradient by these would need a third product.
        and (layer.normalization is None or not layer.normalization.trainable_variables)
    )


def answer(layer, inputs, streams, sample_weight, labels, shortcut, scale_loss):
    """A layer's figures, what it hands on, and what `gradients` needs.

    Args:
        layer: a built `FFLayer` for which `applies` holds.
        inputs, streams, sample_weight, labels, shortcut: as for `FFLayer.measure`.
        scale_loss: function by which the optimizer scales the loss.

    Returns:
        A triple: figures; what is handed on; and what was multiplied, the gradient by the product
        and the gradients by all variables but the kernel, `None` for a bias added with the product.
    """
    if layer.span and shortcut is None:
        shortcut = embedded(inputs)
    rows, besides, complete = _rows(layer, inputs)
    rows = ops.cast(rows, layer.compute_dtype)
    bias = layer.transform.bias if layer.transform.use_bias else None
    others = _all_but_kernel(layer)
    factors = [layer.transform.kernel]
    is_convolution = isinstance(layer.transform, keras.layers.Conv2D)
    is_activated = False
    if bias is not None and is_convolution:
        # The library adds it, and takes the maximum of ReLU, before it writes to memory; and sums
        # for its gradient while it computes the kernel's.
        factors.append(bias)
        others = [one for one in others if one is not bias]
        bias = None
        is_relu = layer.activation is keras.activations.relu
        is_activated = is_relu and layer.responds_by_activation
    product = _multiplied(layer, rows, *_cast(layer, factors))
    product = ops.relu(product) if is_activated else product
    product = ops.stop_gradient(product)

    drawn = None
    if layer.dropout.rate:
        # Drawn out here: the compiler's random numbers are others, and fifty times as slow.
        drawn = layer.draw(_activities_shape(layer, inputs, product))

    def judge(product, drawn, besides, sample_weight, labels, shortcut):
        in_float32 = ops.cast(product, "float32")

        def objective():
            transformed = in_float32 if complete is None else complete(in_float32, besides)
            if bias is not None:
                transformed = transformed + ops.cast(bias, "float32")
            # Of ReLU, a second one changes nothing.
            activities = layer.respond(transformed, training=True, drawn=drawn)
            if is_activated and layer.pooling is None and drawn is None:
                handed = product
            else:
                handed = backends.rounded(activities, layer.compute_dtype)
            goodness = layer.goodness_of(_with_gradient_of(activities, handed))
            figures = layer.figures_of(goodness, streams, sample_weight, labels)
            to_join = layer.to_join(handed, shortcut)
            # What a kernel gives as it was given is copied.
            to_join = [None if one is product else one for one in to_join]
            return scale_loss(figures["loss"]), (figures, to_join)

        answers, (delta, *own) = backends.auxiliary_and_gradients(objective, others, [in_float32])
        return answers, (backends.rounded(delta, layer.compute_dtype), own)

    (figures, to_join), (delta, own) = backends.fused(judge)(
        product, drawn, besides, sample_weight, labels, shortcut
    )
    found = {id(one): gradient for one, gradient in zip(others, own, strict=True)}
    own = [found.get(id(one)) for one in _all_but_kernel(layer)]
    to_join = [product if one is None else one for one in to_join]
    return figures, layer.joined(to_join), (rows, delta, own)


def gradients(layer, rows, delta, own):
    """Gradients by `layer.trainable_variables`.

    Those by the kernel, and by a bias added with the product, are in the layer's compute dtype.

    Args:
        layer: the `FFLayer` that gave the answer.
        rows, delta, own: what `answer` returned for this.
    """
    found = {id(one): gradient for one, gradient in zip(_all_but_kernel(layer), own, strict=True)}
    factors = [layer.transform.kernel]
    bias = layer.transform.bias
    if id(bias) in found and found[id(bias)] is None:
        factors.append(bias)
    by_factors = backends.pull_back(
        functools.partial(_multiplied, layer, rows), _cast(layer, factors), delta
    )
    found.update((id(one), gradient) for one, gradient in zip(factors, by_factors, strict=True))
    return [found[id(variable)] for variable in layer.trainable_variables]


def _multiplied(layer, rows, kernel, bias=None):
    product = _product(layer.transform)(rows, kernel)
    return product if bias is None else backends.biased(product, bias)


def _cast(layer, variables):
    return [ops.cast(one, layer.compute_dtype) for one in variables]


def _all_but_kernel(layer):
    return [one for one in layer.trainable_variables if one is not layer.transform.kernel]


def _with_gradient_of(activities, handed):
    """What is handed on, in float32, with the gradient of the activities."""

    @ops.custom_gradient
    def measured(activities):
        del activities
        return ops.cast(handed, "float32"), lambda gradient: gradient

    return measured(activities)


def _is_one_factor(layer):
    """Whether the normalisation is a factor a sample, which follows the product.

    Not that of a convolution, whose bias could not be added with the product then.
    """
    normalization = layer.normalization
    return (
        type(layer.transform) is keras.layers.Dense
        and isinstance(normalization, LengthNormalization)
        and normalization.is_one_factor
        # In which inputs that are not normalised yet could overflow.
        and layer.compute_dtype != "float16"
    )


def _rows(layer, inputs):
    """What is multiplied, what is needed besides, and what makes of both what the layer answers.

    That is but for the bias; `None` where it is the product itself.
    """
    if layer.shares_product(inputs):
        return label_product.separated(layer, inputs)
    inputs = layer.arranged(inputs)
    normalization = layer.normalization
    if normalization is None:
        return inputs, None, None
    if _is_one_factor(layer):
        return (
            inputs,
            inputs,
            lambda product, inputs: product * normalization.factor(inputs, len(product.shape)),
        )
    if _is_plain(normalization):
        normalized = backends.fused(normalization)(inputs)
    else:
        normalized = normalization(inputs, **keras_internals.training_argument(normalization, True))
    return normalized, None, None


def _activities_shape(layer, inputs, product):
    rows = ops.shape(product)[0]
    if layer.shares_product(inputs):
        rows = inputs.streams * ops.shape(inputs.x)[0]
    shape = product.shape
    if layer.pooling is not None:
        shape = layer.pooling.compute_output_shape(shape)
    return (rows, *shape[1:])


def _is_plain(layer):
    """Whether all there is to a layer is its inputs."""
    return not layer.variables and not layer._call_has_training_arg


def _product(transform):
    """The transform's product, as a function of inputs and kernel; `None` where it has none."""
    if type(transform) is keras.layers.Dense:
        plain = transform.quantization_mode is None and not transform.lora_enabled
        product = ops.matmul
    elif type(transform) is keras.layers.Conv2D:
        plain = transform.groups == 1 and not transform.lora_enabled
        plain = plain and transform.data_format == "channels_last"
        product = transform.convolution_op
    else:
        return None
    plain = plain and transform.activation is keras.activations.linear
    return product if plain and transform.activity_regularizer is None else None
