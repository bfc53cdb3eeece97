"""Learning rate schedules, as `keras_ff.optimizers` has them."""

from keras_ff.optimizers.learning_rates import ConstantThenLinear

__all__ = ["ConstantThenLinear"]
