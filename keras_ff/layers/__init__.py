"""Forward-Forward layers, normalisations, and what stands between layers."""

from keras_ff.layers.batch import Batch
from keras_ff.layers.ff_attention import FFAttention
from keras_ff.layers.ff_conv2d import FFConv2D
from keras_ff.layers.ff_dense import FFDense
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.layers.ff_locally_connected2d import FFLocallyConnected2D
from keras_ff.layers.ff_residual import FFResidual
from keras_ff.layers.locally_connected2d import LocallyConnected2D
from keras_ff.layers.opaque import Opaque
from keras_ff.layers.patch_attention import PatchAttention
from keras_ff.layers.patch_whitening import PatchWhitening
from keras_ff.normalizations.class_group_normalization import ClassGroupNormalization
from keras_ff.normalizations.length_normalization import LengthNormalization
from keras_ff.normalizations.peer_normalization import PeerNormalization

__all__ = [
    "Batch",
    "ClassGroupNormalization",
    "FFAttention",
    "FFConv2D",
    "FFDense",
    "FFLayer",
    "FFLocallyConnected2D",
    "FFResidual",
    "LengthNormalization",
    "LocallyConnected2D",
    "Opaque",
    "PatchAttention",
    "PatchWhitening",
    "PeerNormalization",
]
