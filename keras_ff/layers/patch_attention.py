"""PatchAttention: self-attention among the patches of an image, or among tokens."""

import keras

from keras_ff.utils import checks, patches
from keras_ff.utils.registry import registered

# Positions must differ from the first step on: no later layer makes up for it.
POSITION_SPREAD = 0.5


@registered
class PatchAttention(keras.layers.Layer):
    """Tokens look at one another: projection, positions, self-attention, dense.

    With `e = project(tokens) + position` the outputs are
    `dense(e + attention(query=e, key=e, value=e))`. Images are cut into patches first, each a
    token; inputs that are tokens already are taken as they are. Inputs of mean square 1 give
    embeddings of about that scale: every matrix starts with variance 1 / fan-in.

    Args:
        num_heads: integer above 0, number of attention heads.
        key_dim: integer above 0, width of a head; embeddings have num_heads · key_dim features.
        units: integer above 0, width of the outputs. Defaults to `None`: num_heads · key_dim.
        patch_size: integer above 0, side of a patch in pixels, for images. Defaults to `None`:
            the inputs are tokens.
        **kwargs: `name`, `dtype`, `trainable`, as for every Keras layer.

    Call arguments:
        inputs: tensor of shape (batch, height, width, channels), or (batch, tokens, features).

    Returns:
        Tensor of shape (batch, tokens, units).

    Raises:
        ValueError: if a size is not an integer above 0, the inputs are neither images nor tokens,
            or the patches do not fill the images.

    Example:

    >>> import numpy as np
    >>> layer = PatchAttention(num_heads=2, key_dim=8, units=20, patch_size=4)
    >>> tuple(layer(np.ones((3, 8, 8, 1))).shape)
    (3, 4, 20)
    """

    # The longest way of a gradient: dense, attention's output, its values (or queries, or keys),
    # projection. The other matrices lie beside it.
    locality = 4

    def __init__(self, num_heads, key_dim, units=None, patch_size=None, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = checks.whole_number(num_heads, "num_heads")
        self.key_dim = checks.whole_number(key_dim, "key_dim")
        self.width = self.num_heads * self.key_dim
        self.units = self.width if units is None else checks.whole_number(units, "units")
        if patch_size is not None:
            patch_size = checks.whole_number(patch_size, "patch_size")
        self.patch_size = patch_size
        dtype = self.dtype_policy
        self.projection = keras.layers.Dense(
            self.width,
            use_bias=False,  # the positions have one each
            kernel_initializer="lecun_normal",
            dtype=dtype,
            name="projection",
        )
        self.attention = keras.layers.MultiHeadAttention(
            self.num_heads,
            self.key_dim,
            use_bias=False,  # a key's would have no gradient
            # All four kernels are (width, width) matrices split into heads, in which Keras's
            # own scaling finds the wrong fan.
            kernel_initializer=keras.initializers.RandomNormal(stddev=self.width**-0.5),
            dtype=dtype,
            name="attention",
        )
        self.dense = keras.layers.Dense(
            self.units, kernel_initializer="lecun_normal", dtype=dtype, name="dense"
        )

    def build(self, input_shape):
        tokens = self._tokens_shape(input_shape)
        embedded = (*tokens[:2], self.width)
        self.projection.build(tokens)
        self.positions = self.add_weight(
            shape=embedded[1:],
            initializer=keras.initializers.RandomNormal(stddev=POSITION_SPREAD),
            name="positions",
        )
        self.attention.build(embedded, embedded)
        self.dense.build(embedded)

    def call(self, inputs):
        self._tokens_shape(inputs.shape)
        tokens = inputs if len(inputs.shape) == 3 else patches.cut(inputs, self.patch_size)
        embedded = self.projection(tokens) + self.positions
        return self.dense(embedded + self.attention(embedded, embedded))

    def _tokens_shape(self, shape):
        """Shape of the tokens, or a ValueError where there are none."""
        if len(shape) == 3 and None not in shape[1:]:
            return tuple(shape)
        if len(shape) != 4 or None in shape[1:]:
            raise ValueError(
                "PatchAttention takes images of shape (batch, height, width, channels) or tokens "
                "of shape (batch, tokens, features), all but the batch known. "
                f"Received: inputs of shape {tuple(shape)}"
            )
        batch, height, width, channels = shape
        rows, columns = patches.patch_grid(height, width, self.patch_size)
        return (batch, rows * columns, self.patch_size**2 * channels)

    def compute_output_shape(self, input_shape):
        return (*self._tokens_shape(input_shape)[:2], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "units": self.units,
            "patch_size": self.patch_size,
        }
