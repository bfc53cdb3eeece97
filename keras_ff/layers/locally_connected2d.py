"""LocallyConnected2D: a convolution whose positions have weights of their own."""

import math

import keras
from keras import ops

from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class LocallyConnected2D(keras.layers.Layer):
    """Local receptive fields: as a convolution, but every position has its own weights.

    `y[b, i, j, f] = Σ_p x[b, patch p of (i, j)] · kernel[i, j, p, f] + bias[i, j, f]`, what Hinton
    (2022, §3.3) uses in place of convolutions, because brains cannot share weights. Initialisers
    that scale with the fan take that of one position: a patch's inputs and the filters.

    Args:
        filters: integer above 0, number of output channels.
        kernel_size: integer above 0 or a pair of them, height and width of a patch.
        strides: integer above 0 or a pair of them. Defaults to `1`.
        padding: `"valid"` or `"same"`. Defaults to `"valid"`.
        use_bias: boolean. Defaults to `True`.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        kernel_constraint, bias_constraint: as for `keras.layers.Conv2D`, on a kernel of shape
            (rows, columns, kernel height · kernel width · channels, filters) and a bias of shape
            (rows · columns · filters,), rows and columns being the output's.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Call arguments:
        inputs: tensor of shape (batch, height, width, channels).

    Returns:
        Tensor of shape (batch, rows, columns, filters).

    Raises:
        ValueError: if a size is not an integer above 0, `padding` is another word, the inputs are
            no images, or the kernel is larger than the image and nothing is left of it.

    Example:

    >>> import numpy as np
    >>> layer = LocallyConnected2D(4, kernel_size=3)
    >>> tuple(layer(np.ones((2, 8, 8, 1))).shape), tuple(layer.kernel.shape)
    ((2, 6, 6, 4), (6, 6, 9, 4))
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="valid",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = checks.whole_number(filters, "filters")
        self.kernel_size = _pair(kernel_size, "kernel_size")
        self.strides = _pair(strides, "strides")
        if padding not in ("valid", "same"):
            raise ValueError(f"`padding` must be 'valid' or 'same'. Received: padding={padding!r}")
        self.padding = padding
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def build(self, input_shape):
        _, rows, columns, _ = self.compute_output_shape(input_shape)
        self.kernel = self.add_weight(
            shape=(rows, columns, math.prod(self.kernel_size) * input_shape[-1], self.filters),
            initializer=_of_one_position(self.kernel_initializer, rows * columns),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        if self.use_bias:
            # Flat, because it is no stack of matrices.
            self.bias = self.add_weight(
                shape=(rows * columns * self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def call(self, inputs):
        outputs = ops.einsum("brcp,rcpf->brcf", self._patches(inputs), self.kernel)
        if self.use_bias:
            outputs = outputs + ops.reshape(self.bias, (1, *self.kernel.shape[:2], self.filters))
        return outputs

    def _patches(self, inputs):
        """What every position sees: (batch, rows, columns, kernel height · width · channels).

        Shifted copies side by side; `ops.image.extract_patches` is a convolution with an identity
        matrix, whose cost grows with the square of a patch's size.
        """
        _, rows, columns, _ = self.compute_output_shape(inputs.shape)
        (height, width), (down, across) = self.kernel_size, self.strides
        if self.padding == "same":
            margins = [
                max((size - 1) * stride + kernel - length, 0)
                for size, stride, kernel, length in zip(
                    (rows, columns), self.strides, self.kernel_size, inputs.shape[1:3], strict=True
                )
            ]
            around = [[margin // 2, margin - margin // 2] for margin in margins]
            inputs = ops.pad(inputs, [[0, 0], *around, [0, 0]])
        shifted = [
            inputs[
                :,
                top : top + (rows - 1) * down + 1 : down,
                left : left + (columns - 1) * across + 1 : across,
            ]
            for top in range(height)
            for left in range(width)
        ]
        return ops.concatenate(shifted, axis=-1)

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 4 or None in input_shape[1:]:
            raise ValueError(
                "LocallyConnected2D takes images of known size, "
                f"(batch, height, width, channels). Received: inputs of shape {tuple(input_shape)}"
            )
        sizes = []
        for length, kernel, stride in zip(
            input_shape[1:3], self.kernel_size, self.strides, strict=True
        ):
            # Where the first patch of each position starts.
            starts = length if self.padding == "same" else length - kernel + 1
            if starts < 1:
                raise ValueError(
                    f"Nothing is left of images smaller than the kernel, {self.kernel_size}; use "
                    "a smaller kernel_size, less pooling before, or padding='same'. "
                    f"Received: inputs of shape {tuple(input_shape)}"
                )
            sizes.append(math.ceil(starts / stride))
        return (input_shape[0], *sizes, self.filters)

    def get_config(self):
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }


def _pair(value, name):
    """Height and width out of one integer or two."""
    pair = tuple(value) if isinstance(value, (list, tuple)) else (value, value)
    if len(pair) != 2:
        raise ValueError(
            f"`{name}` must be an integer or a pair of integers. Received: {name}={value!r}"
        )
    return tuple(checks.whole_number(one, name) for one in pair)


def _of_one_position(initializer, positions):
    """`initializer` with the variance that it gives to a single position's matrix.

    Keras takes the leading axes of the kernel for a receptive field, and so finds each fan as many
    times too large as there are positions.
    """
    if not isinstance(initializer, keras.initializers.VarianceScaling):
        return initializer
    return keras.initializers.VarianceScaling(
        scale=initializer.scale * positions,
        mode=initializer.mode,
        distribution=initializer.distribution,
        seed=initializer.seed,
    )
