"""Forward-Forward layers, and the normalisations between them."""

from keras_ff.layers.class_group_normalization import ClassGroupNormalization
from keras_ff.layers.ff_attention import FFAttention
from keras_ff.layers.ff_conv2d import FFConv2D
from keras_ff.layers.ff_dense import FFDense
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.layers.ff_locally_connected2d import FFLocallyConnected2D
from keras_ff.layers.length_normalization import LengthNormalization
from keras_ff.layers.locally_connected2d import LocallyConnected2D
from keras_ff.layers.patch_attention import PatchAttention
from keras_ff.layers.peer_normalization import PeerNormalization

__all__ = [
    "ClassGroupNormalization",
    "FFAttention",
    "FFConv2D",
    "FFDense",
    "FFLayer",
    "FFLocallyConnected2D",
    "LengthNormalization",
    "LocallyConnected2D",
    "PatchAttention",
    "PeerNormalization",
]
