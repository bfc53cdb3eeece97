"""FFLocallyConnected2D: a Forward-Forward layer of local receptive fields."""

from keras_ff.layers.ff_layer import FFLayer
from keras_ff.layers.locally_connected2d import LocallyConnected2D
from keras_ff.layers.transform_arguments import KERNEL_AND_BIAS, TransformArguments
from keras_ff.utils.registry import registered


@registered
class FFLocallyConnected2D(TransformArguments, FFLayer):
    """`FFLayer` around `LocallyConnected2D`: a convolution that shares no weights.

    Args:
        filters: integer above 0, number of output channels.
        kernel_size, strides, padding, use_bias, kernel_initializer, bias_initializer,
        kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint: as for
            `LocallyConnected2D`; `kernel_size` defaults to `3` and `padding` to `"same"`.
        activation: name, callable or `None`. Defaults to `"relu"`.
        **kwargs: `goodness`, `loss`, `optimizer`, `normalization`, `dropout`, `pooling` as for
            `FFLayer`, and `name`, `dtype`, `trainable` as for every Keras layer.

    Call arguments:
        inputs: tensor of shape (batch, height, width, channels).

    Returns:
        Activities of shape (batch, height, width, filters), smaller where there are strides,
        pooling or no padding.

    Raises:
        ValueError: as for `LocallyConnected2D` and `FFLayer`.

    Example:

    >>> import keras, numpy as np
    >>> layer = FFLocallyConnected2D(4, strides=2)
    >>> tuple(layer(np.ones((2, 8, 8, 1))).shape)
    (2, 4, 4, 4)
    """

    transform_arguments = ("filters", "kernel_size", "strides", "padding", *KERNEL_AND_BIAS)

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        padding="same",
        activation="relu",
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        fields = LocallyConnected2D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            dtype=kwargs.get("dtype"),
            name="receptive_fields",
        )
        super().__init__(fields, activation=activation, **kwargs)

    @property
    def filters(self):
        """Number of output channels."""
        return self.transform.filters

    @property
    def kernel(self):
        """The weights of every position; see `LocallyConnected2D`."""
        return self.transform.kernel
