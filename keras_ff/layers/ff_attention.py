"""FFAttention: a Forward-Forward layer of self-attention."""

from keras_ff.layers.ff_layer import FFLayer
from keras_ff.layers.patch_attention import PatchAttention
from keras_ff.layers.transform_arguments import TransformArguments
from keras_ff.utils.registry import registered


@registered
class FFAttention(TransformArguments, FFLayer):
    """`FFLayer` around `PatchAttention`, with one goodness over all tokens and units.

    Labels should stand in every patch, as `keras_ff.labels.TokenLabels` (tokens, `patch_size` is
    left out here), `SpatialPattern` or `LabelMap` (images) write them. A gradient passes four
    matrices, more than in a dense layer, but none of another layer.

    Args:
        num_heads, key_dim, units, patch_size: as for `PatchAttention`.
        activation: name, callable or `None`. Defaults to `"relu"`.
        **kwargs: `goodness`, `loss`, `optimizer`, `normalization`, `dropout`, `pooling` as for
            `FFLayer`, and `name`, `dtype`, `trainable` as for every Keras layer.

    Call arguments:
        inputs: tensor of shape (batch, height, width, channels), or (batch, tokens, features).

    Returns:
        Activities of shape (batch, tokens, units).

    Raises:
        ValueError: as for `PatchAttention` and `FFLayer`.

    Example:

    >>> import keras, numpy as np
    >>> layer = FFAttention(num_heads=2, key_dim=8, patch_size=4)
    >>> tuple(layer(np.ones((3, 8, 8, 1))).shape)
    (3, 4, 16)
    """

    transform_arguments = ("num_heads", "key_dim", "units", "patch_size")

    def __init__(
        self, num_heads, key_dim, units=None, patch_size=None, activation="relu", **kwargs
    ):
        attention = PatchAttention(
            num_heads,
            key_dim,
            units=units,
            patch_size=patch_size,
            dtype=kwargs.get("dtype"),
            name="patch_attention",
        )
        super().__init__(attention, activation=activation, **kwargs)

    @property
    def units(self):
        """Width of the layer."""
        return self.transform.units
