"""Which layers learn in which epoch, and what those below them answer."""

import keras

from keras_ff.models.data_checks import NO_DATA


class LayerScheduleCallback(keras.callbacks.Callback):
    """Tells an `FFModel` at the start of every epoch which of its layers learn in it.

    Args:
        epochs: integer, what `fit` was given.
    """

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        model = self.model
        model.learning_layers = model.layer_schedule.learning_layers(
            epoch, self.epochs, len(model.ff_layers)
        )

    def on_test_begin(self, logs=None):
        self.model.readout.begin_choice(self.model)

    def on_test_end(self, logs=None):
        # Within `fit`, and so on validation data alone.
        self.model.readout.choose_layers(self.model)

    def on_epoch_end(self, epoch, logs=None):
        if "loss" not in (logs or {}):
            raise ValueError(NO_DATA)


class FrozenActivitiesCallback(keras.callbacks.Callback):
    """Has an `FFModel` keep what frozen layers answer, where that saves computing it anew.

    It comes after a user's callbacks, which may exchange weights at the start of an epoch.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.model.prepare_frozen()
