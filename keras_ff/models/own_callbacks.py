"""The callbacks of `fit`: a user's, and keras_ff's own before and behind them."""

import keras

from keras_ff.callbacks.tensorboard import FFTensorBoard
from keras_ff.models.progress_bar import ProgressBar


def with_own(model, callbacks, verbose, own=(), last=(), validation_data=None):
    """A user's callbacks between keras_ff's own, and the progress bar if wanted.

    Args:
        model: the `FFModel`.
        callbacks: what `fit` was given: a callback, a list of them, a Keras `CallbackList` or
            `None`.
        verbose: whether there is to be a progress bar.
        own, last: callbacks to put before them, and behind them. Defaults to none.
        validation_data: what `fit` was given, for callbacks that look at samples. Defaults to
            `None`.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        # What an earlier `fit` put into the list would go by that one's epochs.
        kinds = tuple(type(callback) for callback in (*own, *last))
        callbacks.callbacks[:] = [one for one in callbacks.callbacks if not isinstance(one, kinds)]
        for callback in (*own, *last):
            callback.set_model(model)
            callback.set_params(callbacks.params)
        callbacks.callbacks[:] = [*own, *callbacks.callbacks, *last]
        _show(callbacks.callbacks, validation_data)
        return callbacks
    callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else callbacks
    callbacks = [*own, *(callbacks or []), *last]
    _show(callbacks, validation_data)
    if verbose and not any(isinstance(one, keras.callbacks.ProgbarLogger) for one in callbacks):
        callbacks.append(ProgressBar())
    return callbacks


def _show(callbacks, validation_data):
    """Show validation data to the callbacks that look at samples."""
    for callback in callbacks:
        if isinstance(callback, FFTensorBoard) and validation_data is not None:
            callback.show(validation_data)
