"""Acceleration behind two calls: `stepper(model).step(layer, batch)` and `forward(layer, batch)`.

Switched off by the environment variable `KERAS_FF_FAST=0`, they are `layer.train_step(batch)` and
`layer.forward(batch)`, with equal results but for rounding.
"""

from keras_ff.fast.stepper import forward, stepper

__all__ = ["forward", "stepper"]
