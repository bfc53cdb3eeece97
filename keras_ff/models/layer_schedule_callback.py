"""LayerScheduleCallback: which layers learn in which epoch of `fit`."""

import keras

from keras_ff.models import scoring
from keras_ff.models.data_checks import NO_DATA


class LayerScheduleCallback(keras.callbacks.Callback):
    """Tells an `FFModel` at the start of every epoch which of its layers learn in it."""

    def __init__(self, schedule, epochs):
        super().__init__()
        self.schedule = schedule
        self.epochs = epochs

    def on_epoch_begin(self, epoch, logs=None):
        if self.schedule.trains_layers:
            number = len(self.model.ff_layers)
            self.model.learning_layers = self.schedule.learning_layers(epoch, self.epochs, number)

    def on_test_end(self, logs=None):
        # Within `fit`, and so on validation data alone.
        self.model.readout.choose_layers(scoring.trained(self.model))

    def on_epoch_end(self, epoch, logs=None):
        if "loss" not in (logs or {}):
            raise ValueError(NO_DATA)
