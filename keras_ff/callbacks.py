"""Callbacks. `FFModel.fit` adds the first two by itself."""

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


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar without the figures of single layers, which the logs hold."""

    @staticmethod
    def _few(logs):
        return {name: value for name, value in (logs or {}).items() if "/" not in name}

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, self._few(logs))

    def on_test_batch_end(self, batch, logs=None):
        super().on_test_batch_end(batch, self._few(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, self._few(logs))

    def on_test_end(self, logs=None):
        super().on_test_end(self._few(logs))


def with_own(model, callbacks, verbose, own=()):
    """A user's callbacks with keras_ff's own before them, and the progress bar if wanted."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # What an earlier `fit` put into the list would go by that one's epochs.
        kinds = tuple(type(callback) for callback in own)
        callbacks.callbacks[:] = [one for one in callbacks.callbacks if not isinstance(one, kinds)]
        for callback in own:
            callback.set_model(model)
            callback.set_params(callbacks.params)
        callbacks.callbacks[:0] = own
        return callbacks
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else callbacks
    callbacks = [*own, *(callbacks or [])]
    if verbose and not any(isinstance(one, keras.callbacks.ProgbarLogger) for one in callbacks):
        callbacks.append(ProgressBar())
    return callbacks
