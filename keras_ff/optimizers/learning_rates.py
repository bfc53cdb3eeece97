"""Learning rate schedules."""

import keras
from keras import ops

from keras_ff.utils import checks
from keras_ff.utils.registry import registered


@registered
class ConstantThenLinear(keras.optimizers.schedules.LearningRateSchedule):
    """Constant for the first half of the steps, then linear towards 0 (Hinton's own code).

    `rate(step) = learning_rate · min(1, 2 · (1 − step / total_steps))`, and 0 from `total_steps`
    on. Every layer's optimizer counts its own steps: under `Greedy`, a layer's total is its own
    share of the epochs.

    Args:
        learning_rate: float above 0, the rate of the first half.
        total_steps: integer of at least 1, the steps that the optimizer will take.

    Call arguments:
        step: integer or tensor, the steps taken so far.

    Returns:
        float32 scalar tensor.

    Raises:
        ValueError: if an argument is out of its range.

    Example:

    >>> rate = ConstantThenLinear(0.002, total_steps=100)
    >>> [round(float(rate(step)), 4) for step in (0, 50, 75, 100)]
    [0.002, 0.002, 0.001, 0.0]
    """

    def __init__(self, learning_rate, total_steps):
        self.learning_rate = checks.positive_number(learning_rate, "learning_rate")
        self.total_steps = checks.positive_number(total_steps, "total_steps")

    def __call__(self, step):
        share_left = 1.0 - ops.cast(step, "float32") / self.total_steps
        return self.learning_rate * ops.clip(2.0 * share_left, 0.0, 1.0)

    def get_config(self):
        return {"learning_rate": self.learning_rate, "total_steps": self.total_steps}
