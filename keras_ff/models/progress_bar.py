"""ProgressBar: Keras's, short enough to be read."""

import keras


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar without the metrics of single layers, which the logs hold."""

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
