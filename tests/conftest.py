"""What every test starts from: the same seeds, and Keras as freshly imported."""

import keras
import pytest


@pytest.fixture(autouse=True)
def fresh_keras():
    """Seed all generators before a test; undo global settings and names after it."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.utils.clear_session(free_memory=False)
