"""`fit` with FFTensorBoard at its default frequencies, beside `fit` without it."""

import tempfile
import time

import keras

from keras_ff import datasets, recipes
from keras_ff.callbacks import FFTensorBoard
from keras_ff.lab.benchmarks import side_by_side

HOOKS = ("on_train_begin", "on_train_batch_end", "on_test_end", "on_epoch_end", "on_train_end")


def run(dataset="mnist", **chosen):
    """A row in samples/s: `ours` with the callback, and as `floor` without it.

    Two models of one configuration take turns: an epoch with the callback, an epoch without. All
    that the callback does once, before, after and in the first epoch, is counted in.
    `share_of_training` are the seconds in the callback's own methods, divided by all other seconds
    of training and validation. The arguments are those of `TrainingConfig.for_dataset`.
    """
    config = recipes.TrainingConfig.for_dataset(dataset, **chosen)
    model, twin = (_Trained(config) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        board = _TimedBoard(folder, hparams=config)
        turns = _Turns(twin)
        model.fit(0, config.epochs, [board, turns])
    with_board = turns.seconds + board.at_ends
    seconds = {"ours": with_board, "floor": twin.seconds}
    case = f"{dataset}, {' × '.join(map(str, config.units))}, {config.epochs} epochs"
    share = board.seconds / (with_board - board.seconds)
    amount = model.samples * config.epochs
    yield side_by_side.row(
        "callbacks",
        case,
        config.dtype_policy,
        "samples/s",
        amount,
        seconds,
        share_of_training=share,
    )


class _Trained:
    """A model of a configuration, its data, and the seconds of its epochs by itself."""

    def __init__(self, config):
        keras.utils.set_random_seed(config.seed)
        self.data, self.validation, _ = config.load_data()
        shape = self.data.element_spec[0].shape[1:]
        num_classes = datasets.info(config.dataset).num_classes
        self.model = config.new_model(shape, num_classes, len(self.data))
        self.samples = len(self.data) * config.batch_size
        self.seconds = 0.0

    def fit(self, first, end, callbacks):
        self.model.fit(
            self.data,
            initial_epoch=first,
            epochs=end,
            validation_data=self.validation,
            verbose=0,
            callbacks=callbacks,
        )


class _Clock(keras.callbacks.Callback):
    """Seconds of epochs, their validation included."""

    def __init__(self):
        super().__init__()
        self.seconds = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds += time.perf_counter() - self.start


class _Turns(_Clock):
    """After each epoch lets another model train for one."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        clock = _Clock()
        self.other.fit(epoch, epoch + 1, [clock])
        self.other.seconds += clock.seconds


class _TimedBoard(FFTensorBoard):
    """Counts the seconds in its own methods, and of them those before and after all epochs."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seconds = self.at_ends = 0.0
        for hook in HOOKS:
            setattr(self, hook, self._timed(hook, getattr(self, hook)))

    def _timed(self, hook, method):
        def timed(*args, **kwargs):
            start = time.perf_counter()
            method(*args, **kwargs)
            seconds = time.perf_counter() - start
            self.seconds += seconds
            if hook.startswith("on_train") and "batch" not in hook:
                self.at_ends += seconds

        return timed
