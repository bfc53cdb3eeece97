"""FFDense: a densely connected Forward-Forward layer."""

import keras

from keras_ff.layers.ff_layer import FFLayer
from keras_ff.layers.transform_arguments import KERNEL_AND_BIAS, TransformArguments
from keras_ff.utils.registry import registered


@registered
class FFDense(TransformArguments, FFLayer):
    """`FFLayer` around `keras.layers.Dense`; flattens its input.

    Args:
        units: integer above 0, width of the layer.
        activation: name, callable or `None`. Defaults to `"relu"`.
        use_bias: boolean. Defaults to `True`.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        kernel_constraint, bias_constraint: as for `keras.layers.Dense`.
        **kwargs: `goodness`, `loss`, `optimizer`, `normalization`, `dropout` as for `FFLayer`,
            and `name`, `dtype`, `trainable` as for every Keras layer.

    Call arguments:
        inputs: tensor of shape (batch, ...).

    Returns:
        Activities of shape (batch, units).

    Raises:
        ValueError: if `units` is not an integer above 0, or as for `FFLayer`.

    Example:

    >>> import numpy as np
    >>> layer = FFDense(500, activation="relu")
    >>> tuple(layer(np.ones((2, 28, 28, 1))).shape)
    (2, 500)
    """

    flattens = True
    transform_arguments = ("units", *KERNEL_AND_BIAS)

    def __init__(
        self,
        units,
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
        dense = keras.layers.Dense(
            units,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            dtype=kwargs.get("dtype"),
            name="dense",
        )
        super().__init__(dense, activation=activation, **kwargs)

    @property
    def units(self):
        """Width of the layer."""
        return self.transform.units

    @property
    def kernel(self):
        """The weight matrix, of shape (features, units)."""
        return self.transform.kernel
