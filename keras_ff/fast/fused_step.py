"""A layer's local step as two products, one compiled kernel between them, and one behind.

A step of Forward-Forward needs a layer's forward product and that of its weights' gradient. All
between the two is element-wise: normalisation by length (one factor per sample, which may as well
follow the product), bias, activation, goodness, loss and their gradient by the product. Operation
by operation each would go through memory by itself; as one kernel they go once, which takes a
third off a step of 4 × 2000 units in bfloat16. The products stay outside, where the processor's
own library is several times faster than the compiler, and writes a convolution's bias and ReLU
along with its product, and sums the bias's gradient along with the kernel's. A convolution's inputs
are normalised by a kernel of their own.
"""

import functools
import math

import keras
from keras import ops

from keras_ff import backends
from keras_ff.fast import fused_update, label_product
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.layers.ff_residual import FFResidual
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
        # A subclass that has a way of its own takes it.
        and all(_is_own(layer, name) for name in ("forward", "call", "pre_activation"))
        and layer.activity_regularizer is None
        and _product(transform) is not None
        and transform.trainable
        # What has a penalty or weights of its own takes the plain way.
        and not (transform.kernel_regularizer or transform.bias_regularizer)
        and not layer.auxiliary
        and not isinstance(layer.goodness, keras.layers.Layer)
        and not isinstance(layer.activation, keras.layers.Layer)
        and (layer.label_embedding is None or not layer.label_embedding.learned)
        and (layer.pooling is None or _is_plain(layer.pooling))
        # The compiler's gradient of a maximum is slower than all that it would save.
        and not isinstance(layer.pooling, keras.layers.MaxPooling2D)
        # A gradient by these would need a third product.
        and (layer.normalization is None or not layer.normalization.trainable_variables)
    )


def compute_gradients(layer, batch, skip):
    """The first half of a local step, up to the gradient by the product.

    Returns metrics, outputs, and what `apply_gradients` needs: what was multiplied, the gradient by
    the product and those by all variables but the kernel, `None` for a bias added with the product.
    """
    rows, besides, complete = _rows(layer, batch)
    rows = ops.cast(rows, layer.compute_dtype)
    bias = layer.transform.bias if layer.transform.use_bias else None
    others = _all_but_kernel(layer)
    factors = [layer.transform.kernel]
    is_convolution = isinstance(layer.transform, keras.layers.Conv2D)
    is_activated = False
    if bias is not None and is_convolution and backends.sums_biases(layer.compute_dtype):
        # The library adds it, and takes the maximum of ReLU, before it writes to memory; and sums
        # for its gradient while it computes the kernel's.
        factors.append(bias)
        others = [one for one in others if one is not bias]
        bias = None
        is_relu = layer.activation is keras.activations.relu
        is_activated = is_relu and _is_own(layer, "activate")
    product = _multiplied(layer, rows, *_cast(layer, factors))
    product = ops.relu(product) if is_activated else product
    product = ops.stop_gradient(product)

    mask = None
    if layer.dropout.rate:
        # Drawn out here: the compiler's random numbers are others, and fifty times as slow.
        mask = layer.dropout_mask(_activities_shape(layer, batch, product))

    def judge(product, mask, besides, sample_weight, labels, skip):
        in_float32 = ops.cast(product, "float32")
        own = batch.replace(inputs=None, skips=(), labels=labels, sample_weight=sample_weight)

        def objective():
            pre_activation = in_float32 if complete is None else complete(in_float32, besides)
            if bias is not None:
                pre_activation = pre_activation + ops.cast(bias, "float32")
            # Of ReLU, a second one changes nothing.
            activities = layer.activate(pre_activation, training=True, dropout_mask=mask)
            if is_activated and layer.pooling is None and mask is None:
                outputs = product
            else:
                outputs = backends.rounded(activities, layer.compute_dtype)
            goodness = layer.compute_goodness(_with_gradient_of(activities, outputs))
            metrics = layer.compute_loss(goodness, own)
            # What a kernel gives as it was given is copied.
            outputs = [None if one is product else one for one in _to_join(layer, outputs, skip)]
            return layer.scaled_loss(metrics), (metrics, outputs)

        (_, results), (delta, *own_gradients) = backends.value_and_grad(
            objective, others, [in_float32]
        )
        return results, (backends.rounded(delta, layer.compute_dtype), own_gradients)

    (metrics, outputs), (delta, own) = backends.fused(judge)(
        product, mask, besides, batch.sample_weight, batch.labels, skip
    )
    found = {id(one): gradient for one, gradient in zip(others, own, strict=True)}
    own = [found.get(id(one)) for one in _all_but_kernel(layer)]
    outputs = [product if one is None else one for one in outputs]
    return metrics, ops.stop_gradient(_joined(layer, outputs)), (rows, delta, own)


def apply_gradients(layer, found):
    """The second half of a local step, which the next layer need not wait for.

    `found` is what `compute_gradients` returned. Gradients by the kernel, and by a bias added with
    the product, are in the layer's compute dtype.
    """
    rows, delta, own = found
    known = {id(one): gradient for one, gradient in zip(_all_but_kernel(layer), own, strict=True)}
    factors = [layer.transform.kernel]
    bias = layer.transform.bias
    if id(bias) in known and known[id(bias)] is None:
        factors.append(bias)
    by_factors = backends.vjp(
        functools.partial(_multiplied, layer, rows), _cast(layer, factors), delta
    )
    known.update((id(one), gradient) for one, gradient in zip(factors, by_factors, strict=True))
    gradients = [known[id(variable)] for variable in layer.trainable_variables]
    fused_update.update(layer.optimizer, gradients, layer.trainable_variables)


def _is_own(layer, name):
    """Whether a layer's method is the one of `FFLayer`."""
    return getattr(type(layer), name) is getattr(FFLayer, name)


# What a kernel does of joining a skip connection: all but putting groups side by side.


def _to_join(layer, activities, skip):
    if type(layer).outputs is FFResidual.outputs:
        return layer.leveled(activities, skip)
    return [layer.outputs(activities, skip)]


def _joined(layer, tensors):
    if type(layer).outputs is FFResidual.outputs:
        return layer.join(tensors, _words_side_by_side)
    return tensors[0]


def _words_side_by_side(tensors, axis):
    """As `ops.concatenate`, in a fifth of the time, by a kernel that moves words of 64 bits."""
    dtype = keras.backend.standardize_dtype(tensors[0].dtype)
    bits = int("".join(filter(str.isdigit, dtype)))
    word = math.gcd(64, *(bits * one.shape[axis] for one in tensors))
    words = [ops.view(one, f"uint{word}") for one in tensors]
    together = backends.fused(functools.partial(ops.concatenate, axis=axis))(words)
    return ops.view(together, dtype)


def _multiplied(layer, rows, kernel, bias=None):
    product = _product(layer.transform)(rows, kernel)
    return product if bias is None else backends.bias_add(product, bias)


def _cast(layer, variables):
    return [ops.cast(one, layer.compute_dtype) for one in variables]


def _all_but_kernel(layer):
    return [one for one in layer.trainable_variables if one is not layer.transform.kernel]


def _with_gradient_of(activities, outputs):
    """The outputs, in float32, with the gradient of the activities."""

    @ops.custom_gradient
    def measured(activities):
        del activities
        return ops.cast(outputs, "float32"), lambda gradient: gradient

    return measured(activities)


def _is_one_factor(layer):
    """Whether the normalisation is one factor per sample, which follows the product.

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


def _rows(layer, batch):
    """What is multiplied, what is needed besides, and what makes of both the pre-activation.

    That is but for the bias; `None` where it is the product itself.
    """
    if label_product.applies(layer, batch):
        return label_product.separated(layer, batch)
    inputs = layer.embed(batch)
    if layer.flattens:
        inputs = ops.reshape(inputs, (-1, math.prod(inputs.shape[1:])))
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
        training = keras_internals.training_argument(normalization, True)
        normalized = normalization(inputs, **training)
    return normalized, None, None


def _activities_shape(layer, batch, product):
    rows = ops.shape(product)[0]
    if label_product.applies(layer, batch):
        rows = batch.stream_labels.shape[0] * ops.shape(batch.inputs)[0]
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
