"""The callbacks of `fit`: a user's, and the model's own before and behind them."""

import keras

from keras_ff.fast.activation_cache import ActivationCacheCallback
from keras_ff.models import stage_callbacks
from keras_ff.models.progress_bar import ProgressBar

OWN = (*stage_callbacks.OWN, ActivationCacheCallback)


def for_fit(model, schedule, epochs, callbacks, verbose, validation_data):
    """A user's callbacks between the model's own, and the progress bar if wanted.

    Callbacks that have a method `show_validation_data` are given the validation data of `fit`.
    """
    given = (
        callbacks.callbacks if isinstance(callbacks, keras.callbacks.CallbackList) else callbacks
    )
    # What an earlier `fit` put into a list would go by that one's epochs.
    users = [one for one in _as_list(given) if not isinstance(one, OWN)]
    first, within, last = stage_callbacks.around(schedule, epochs, users)
    # Behind a user's callbacks, which may exchange weights at the start of an epoch.
    together = [first, *within, last, ActivationCacheCallback()]
    if isinstance(callbacks, keras.callbacks.CallbackList):
        for callback in together:
            if isinstance(callback, OWN):
                callback.set_model(model)
                callback.set_params(callbacks.params)
        callbacks.callbacks[:] = together
    else:
        callbacks = with_progress_bar(together, verbose)
    for callback in users:
        if validation_data is not None and hasattr(callback, "show_validation_data"):
            callback.show_validation_data(validation_data)
    return callbacks


def with_progress_bar(callbacks, verbose):
    """Callbacks, and one that shows progress where that is wanted and none of them does."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    callbacks = _as_list(callbacks)
    if verbose and not any(isinstance(one, keras.callbacks.ProgbarLogger) for one in callbacks):
        callbacks.append(ProgressBar())
    return callbacks


def _as_list(callbacks):
    if isinstance(callbacks, keras.callbacks.Callback):
        return [callbacks]
    return list(callbacks or [])
