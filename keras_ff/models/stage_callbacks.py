"""What stages do during `fit`: they choose who learns, and have callbacks begin anew.

An `EarlyStopping` ends a stage, not the run, and every callback that looks for the best value of a
monitor starts anew with the next stage: the best network is then a whole one.
"""

import dataclasses
import math

import keras
from keras.callbacks import EarlyStopping, LearningRateScheduler, ReduceLROnPlateau

from keras_ff.layers.layer_metrics import UNKNOWN
from keras_ff.models import scoring
from keras_ff.models.data_checks import NO_DATA
from keras_ff.models.stages import EARLY_STOPPING, EPOCHS, STOPPED, Stage, plan, position
from keras_ff.utils.user_warnings import warn


class StageCallback(keras.callbacks.Callback):
    """Begins the stages of `fit` and keeps their record; stands before a user's callbacks."""

    def __init__(self, schedule, epochs):
        super().__init__()
        self.schedule = schedule
        self.epochs = epochs
        self.monitors = []

    def on_train_begin(self, logs=None):
        self.parts, self.rates = None, []
        self.model._fitting.begins = True
        self.stopped_early = False
        self.was_stopping = False
        self.has_validated = False

    def on_epoch_begin(self, epoch, logs=None):
        model = self.model
        if not self.schedule.trains_layers:
            return
        if self.parts is None:
            self.parts = plan(self.schedule, self.epochs, model.ff_layers)
            self.part, self.left = position(self.parts, model.stages, epoch)
            if not model.stages or model.stages[-1].end != epoch:
                model._fitting.stages = []
                for of_layer in model.layer_metrics:
                    of_layer.waiting_loss.assign(UNKNOWN)
            # What each monitor has to beat at first.
            self.baselines = {id(one): one.best for one in self.monitors if hasattr(one, "best")}
        layers, _ = self.parts[self.part]
        model.learning_layers = layers
        stages = model.stages
        under_way = stages and stages[-1].layers == layers and stages[-1].reason in (None, STOPPED)
        if not under_way:
            model._fitting.stages = [*stages, Stage(layers, epoch, epoch)]
        self.rates = _rates_of_others(model, layers)

    def on_test_end(self, logs=None):
        # Within `fit`, and so on validation data alone.
        readout = self.model.readout
        readout.choose_temperature(self.model.num_classes)
        readout.choose_layers(scoring.trained(self.model))
        self.has_validated = True

    def on_epoch_end(self, epoch, logs=None):
        if "loss" not in (logs or {}):
            raise ValueError(NO_DATA)
        if not self.has_validated:
            self.model.readout.choose_temperature(self.model.num_classes)
        if self.parts is not None:
            self.left -= 1
            self._record(end=epoch + 1, reason=EPOCHS if self.left <= 0 else None)

    def _record(self, **fields):
        *before, last = self.model.stages
        self.model._fitting.stages = [*before, dataclasses.replace(last, **fields)]

    def end_epoch(self, epoch):
        """Behind a user's callbacks: end the stage if it had its epochs or was stopped early."""
        if self.parts is None:
            return
        self.restore_rates()
        if self.stopped_early:
            self._record(reason=EARLY_STOPPING)
        elif self.left > 0:
            return
        if self.part + 1 == len(self.parts):
            # Epochs that earlier stages did not use are dropped.
            if self.stopped_early or epoch + 1 < self.epochs:
                self.model.stop_training = True
            return
        self.stopped_early = False
        self.part += 1
        self.model._fitting.begins = False
        _, self.left = self.parts[self.part]
        for callback in self.monitors:
            _start_anew(callback, self.baselines.get(id(callback)))

    def restore_rates(self):
        """Leave the learning rates of layers that do not learn as they were."""
        for optimizer, rate in self.rates:
            optimizer.learning_rate = rate

    def on_train_end(self, logs=None):
        self.model._fitting.begins = True
        if self.parts is None:
            return
        if self.model.stages[-1].reason is None:
            self._record(reason=STOPPED)
        missing = self._untrained()
        if missing:
            names = ", ".join(str(index + 1) for index in missing)
            end = self.model.stages[-1].end
            more = f"initial_epoch={end}"
            if end >= self.epochs:
                shares = self.left + sum(share for _, share in self.parts[self.part + 1 :])
                more = f"epochs={end + max(shares, 1)}, {more}"
            warn(
                f"`fit` ended after {end} of {self.epochs} epochs; of {len(self.model.ff_layers)} "
                f"layers, these have not been trained and are left out of scores: {names}. "
                f"fit({more}) goes on with them."
            )

    def _untrained(self):
        trained = scoring.layers_trained(self.model)
        later = {index for layers, _ in self.parts[self.part :] for index in layers}
        return sorted(index for index in later if index >= trained)


class StageEndCallback(keras.callbacks.Callback):
    """Ends stages; stands behind a user's callbacks."""

    def __init__(self, begin):
        super().__init__()
        self.begin = begin

    def on_epoch_end(self, epoch, logs=None):
        self.begin.end_epoch(epoch)


class BeforeEarlyStopping(keras.callbacks.Callback):
    """Sees whether `fit` was to stop before an `EarlyStopping` said so."""

    def __init__(self, begin):
        super().__init__()
        self.begin = begin

    def on_epoch_end(self, epoch, logs=None):
        self.begin.was_stopping = self.model.stop_training


class AfterEarlyStopping(BeforeEarlyStopping):
    """Has an `EarlyStopping` end the stage and not `fit`."""

    def on_epoch_end(self, epoch, logs=None):
        begin = self.begin
        if begin.parts is not None and self.model.stop_training and not begin.was_stopping:
            self.model.stop_training = False
            begin.stopped_early = True


class AfterRates(BeforeEarlyStopping):
    """Has a callback change the learning rates of the layers that learn, and of no others."""

    def on_epoch_begin(self, epoch, logs=None):
        self.begin.restore_rates()

    def on_epoch_end(self, epoch, logs=None):
        self.begin.restore_rates()


OWN = (StageCallback, StageEndCallback, BeforeEarlyStopping)


def around(schedule, epochs, callbacks):
    """A user's callbacks between those of the stages: the first, the user's, the last."""
    begin = StageCallback(schedule, epochs)
    within = []
    for callback in callbacks:
        if isinstance(callback, EarlyStopping):
            within += [BeforeEarlyStopping(begin), callback, AfterEarlyStopping(begin)]
        elif isinstance(callback, (ReduceLROnPlateau, LearningRateScheduler)):
            within += [callback, AfterRates(begin)]
        else:
            within.append(callback)
    begin.monitors = list(callbacks)
    return begin, within, StageEndCallback(begin)


def _rates_of_others(model, layers):
    """Learning rates of the layers that do not learn, which callbacks are to leave alone."""
    optimizers = [
        layer.optimizer for index, layer in enumerate(model.ff_layers) if index not in layers
    ]
    return [
        (optimizer, float(keras.ops.convert_to_numpy(optimizer.learning_rate)))
        for optimizer in optimizers
        if not isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule)
    ]


def _start_anew(callback, baseline):
    """Have a callback that follows a monitor forget what earlier stages came to."""
    if isinstance(callback, EarlyStopping):
        callback.on_train_end()  # restores the best weights, if asked to
        callback.on_train_begin()
    elif isinstance(callback, ReduceLROnPlateau):
        callback.on_train_begin()
    elif hasattr(callback, "monitor") and hasattr(callback, "best"):
        callback.best = baseline
    elif hasattr(callback, "objective") and hasattr(callback, "best_value"):
        # KerasTuner's own, which keeps the weights of a trial's best epoch.
        callback.best_value = math.inf if callback.objective.direction == "min" else -math.inf
