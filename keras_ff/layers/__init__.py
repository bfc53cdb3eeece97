"""Forward-Forward layers, and the normalisations between them."""

from keras_ff.layers.ff_conv2d import FFConv2D
from keras_ff.layers.ff_dense import FFDense
from keras_ff.layers.ff_layer import FFLayer
from keras_ff.layers.length_normalization import LengthNormalization

__all__ = ["FFConv2D", "FFDense", "FFLayer", "LengthNormalization"]
