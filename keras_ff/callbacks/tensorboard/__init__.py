"""TensorBoard for networks that learn layer by layer."""

from keras_ff.callbacks.tensorboard.ff_tensorboard import FFTensorBoard

__all__ = ["FFTensorBoard"]
