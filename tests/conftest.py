"""What every test starts from: the same seeds, and Keras as freshly imported."""

import keras
import pytest

from keras_ff.layers import FFLayer


@pytest.fixture(autouse=True)
def fresh_keras():
    """Seed all generators before a test; undo global settings and names after it."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.utils.clear_session(free_memory=False)


@pytest.fixture
def record_losses(monkeypatch):
    """A function that returns a list, to which layers' objectives add their losses from then on."""

    def begin():
        losses = []
        objective = FFLayer.objective

        def recorded(self, *args, **kwargs):
            figures, handed = objective(self, *args, **kwargs)
            losses.append(figures["loss"])
            return figures, handed

        monkeypatch.setattr(FFLayer, "objective", recorded)
        return losses

    return begin
