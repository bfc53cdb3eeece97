"""Functions of a user's own, which stand between layers."""

import keras
import numpy as np


@keras.saving.register_keras_serializable(package="test_between_layers")
def four_levels(array):
    """A quantiser: to −1, −1/3, 1/3, 1, without a useful gradient."""
    return np.clip(np.round(1.5 * array + 0.5) - 0.5, -1.5, 1.5) / 1.5
