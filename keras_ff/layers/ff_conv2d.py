"""FFConv2D: a convolutional Forward-Forward layer."""

import keras

from keras_ff.layers.ff_layer import FFLayer
from keras_ff.layers.transform_arguments import KERNEL_AND_BIAS, TransformArguments
from keras_ff.utils.registry import registered


@registered
class FFConv2D(TransformArguments, FFLayer):
    """`FFLayer` around `keras.layers.Conv2D`, with optional pooling before goodness is measured.

    Args:
        filters: integer above 0, number of output channels.
        kernel_size, strides, padding, dilation_rate, use_bias, kernel_initializer,
        bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
        bias_constraint: as for `keras.layers.Conv2D`; `kernel_size` defaults to `3` and `padding`
            to `"same"`.
        activation: name, callable or `None`. Defaults to `"relu"`.
        **kwargs: `goodness`, `loss`, `optimizer`, `normalization`, `dropout`, `pooling` as for
            `FFLayer`, and `name`, `dtype`, `trainable` as for every Keras layer.

    Call arguments:
        inputs: tensor of shape (batch, height, width, channels).

    Returns:
        Activities of shape (batch, height, width, filters), smaller where there are strides or
        pooling.

    Raises:
        ValueError: if nothing is left of the activities, or as for `FFLayer`.

    Example:

    >>> import keras, numpy as np
    >>> layer = FFConv2D(20, pooling=keras.layers.AveragePooling2D(2))
    >>> tuple(layer(np.ones((2, 28, 28, 1))).shape)
    (2, 14, 14, 20)
    """

    transform_arguments = (
        *("filters", "kernel_size", "strides", "padding", "dilation_rate"),
        *KERNEL_AND_BIAS,
    )

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        padding="same",
        activation="relu",
        dilation_rate=1,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        convolution = keras.layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            dilation_rate=dilation_rate,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            dtype=kwargs.get("dtype"),
            name="convolution",
        )
        super().__init__(convolution, activation=activation, **kwargs)

    @property
    def filters(self):
        """Number of output channels."""
        return self.transform.filters

    @property
    def kernel(self):
        """The filters, of shape (height, width, channels, filters)."""
        return self.transform.kernel
