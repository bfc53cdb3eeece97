"""Learning rates: constant, then falling to zero."""

import math

import keras
import numpy as np
import pytest

from keras_ff.optimizers.learning_rates import ConstantThenLinear
from keras_ff.recipes import TrainingConfig


def test_the_rate_is_constant_then_falls_to_zero():
    rate = ConstantThenLinear(0.01, total_steps=8)
    rates = [float(rate(step)) for step in range(10)]
    expected = [0.01] * 5 + [0.0075, 0.005, 0.0025, 0.0, 0.0]
    np.testing.assert_allclose(rates, expected, atol=1e-9)
    again = keras.optimizers.schedules.deserialize(keras.optimizers.schedules.serialize(rate))
    assert again.get_config() == {"learning_rate": 0.01, "total_steps": 8}


@pytest.mark.parametrize("arguments", [(0.0, 5), (0.1, 0), (math.inf, 5)])
def test_rates_that_cannot_be_are_refused(arguments):
    with pytest.raises(ValueError, match="Received"):
        ConstantThenLinear(*arguments)


@pytest.mark.parametrize(
    ("schedule", "shares"), [("greedy", [3, 2, 2]), ("simultaneous", [7, 7, 7])]
)
def test_the_rate_of_a_layer_falls_over_its_own_steps(schedule, shares):
    config = TrainingConfig(units=(4, 4, 4), epochs=7, layer_schedule=schedule)
    model = config.new_model((8, 8, 1), 10, steps_per_epoch=5)
    totals = [layer.optimizer._learning_rate.total_steps for layer in model.ff_layers]
    assert totals == [5 * share for share in shares]
