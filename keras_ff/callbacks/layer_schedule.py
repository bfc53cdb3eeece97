"""LayerScheduleCallback: which layers learn in which epoch."""

import keras

from keras_ff.data_checks import NO_DATA


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
        model.prepare_frozen()

    def on_test_begin(self, logs=None):
        self.model.readout.begin_choice(self.model)

    def on_test_end(self, logs=None):
        # Within `fit`, and so on validation data alone.
        self.model.readout.choose_layers(self.model)

    def on_epoch_end(self, epoch, logs=None):
        if "loss" not in (logs or {}):
            raise ValueError(NO_DATA)
