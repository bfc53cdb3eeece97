"""FFHyperModel: a search space of Forward-Forward networks for KerasTuner's tuners."""

import dataclasses
import functools
import inspect
import math

import keras
import keras_tuner
import numpy as np

from keras_ff import activations, datasets, goodness, losses
from keras_ff.recipes import TrainingConfig
from keras_ff.tuning import own_data, space
from keras_ff.tuning.calibration import calibrated_thresholds
from keras_ff.tuning.own_data import OwnData, is_array
from keras_ff.utils import checks

# What a trial that failed is given for metrics that must be low, and high.
WORST = {"min": 1e9, "max": 0.0}


class FFHyperModel(keras_tuner.HyperModel):
    """A `keras_tuner.HyperModel` whose models and trainings are those of a `TrainingConfig`.

    Every trial trains by the configuration `base`, with the values that the tuner chose in the
    place of its own. The dataset is that of the configuration, unless the tuner's `search` is
    given data: the shape of samples and the number of classes are then those of these data, what
    the configuration says of its dataset does not count, and arrays are divided into batches of
    its batch size. Validation data decide; the test set is never touched.

    A training whose loss is not a number, or whose validation accuracy after its first quarter
    (two epochs at the least) is no more than 1.5 times chance, as where all samples are taken for
    one class, is ended, and its trial marked by the metric `failed`.

    Works with every tuner of KerasTuner. Hyperband's epochs are those of its brackets; a layer
    schedule under which layers take turns begins anew in each.

    Args:
        base: a `TrainingConfig`. Defaults to `None`: what suits scikit-learn's digits, with the
            logistic loss.
        search: what is searched: list of names of `keras_ff.tuning.SPACE`, or a dictionary from
            names to ranges, see `keras_ff.tuning.space.chosen`. Thresholds, margins and alpha are
            in units of the goodness. Defaults to `("threshold", "margin")`.
        data_dir: as for `keras_ff.datasets.load`. Defaults to `None`.
        num_classes: integer, classes of the data that `search` is given, where their labels do not
            say it. Defaults to `None`: the width of one-hot labels, or the largest label of
            training and validation data and one, for which a stream is read once.
        **kwargs: `name` and `tunable`, as for `keras_tuner.HyperModel`.

    Raises:
        ValueError: if a name or a range is none that can be searched, or does not go with the
            configuration's loss, or a readout is to learn after the layers.

    Example:

    >>> import keras_tuner
    >>> hyper_model = FFHyperModel(search=["threshold"])
    >>> tuner = keras_tuner.RandomSearch(
    ...     hyper_model, "val_accuracy", max_trials=1, directory="tuning", overwrite=True
    ... )
    >>> tuner.search(epochs=1, verbose=0)
    >>> best = tuner.get_best_hyperparameters()[0]
    >>> 0.05 <= hyper_model.config(best).threshold <= 4.0
    True

    On data of one's own:

    >>> x, y = np.random.rand(90, 12), np.random.randint(0, 3, 90)
    >>> tuner = keras_tuner.RandomSearch(
    ...     FFHyperModel(), "val_accuracy", max_trials=1, directory="own", overwrite=True
    ... )
    >>> tuner.search(x, y, validation_split=0.2, epochs=1, verbose=0)
    >>> tuner.get_best_models()[0].predict(x, verbose=0).shape
    (90, 3)
    """

    def __init__(
        self,
        base=None,
        search=("threshold", "margin"),
        data_dir=None,
        num_classes=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.base = base or TrainingConfig.for_dataset(loss="logistic")
        self.space = space.chosen(search)
        self.data_dir = data_dir
        self._check_loss()
        if self.base.readout_epochs is not None:
            raise ValueError(
                "A search trains layers alone, and a readout learns after them when what was "
                "found is trained again: leave `readout_epochs` out of the search. "
                f"Received: readout_epochs={self.base.readout_epochs}"
            )
        if num_classes is not None:
            checks.whole_number(num_classes, "num_classes", minimum=2)
        self._given_classes = num_classes
        # Data that `search` was given, as known of them, and the arguments that they were.
        self._own = self._own_arguments = None
        # By batch size, and by configuration: what takes reading the dataset to know.
        self._batches = {}
        self._calibrated = {}

    def _check_loss(self):
        searched = {space.EACH_LAYER.get(name, name) for name in self.space}
        if "loss" in searched:
            return
        has = losses.get(self.base.loss).get_config()
        if "threshold_rule" in searched:
            searched.add("threshold")
        for name in ("threshold", "margin", "alpha"):
            if name in searched and name not in has:
                raise ValueError(
                    f"The loss {self.base.loss!r} has no {name} to search. "
                    f"Received: search={list(self.space)}"
                )

    def config(self, hp):
        """The configuration of a trial.

        Args:
            hp: `keras_tuner.HyperParameters`.

        Returns:
            A `TrainingConfig`.
        """
        depth = self._drawn(hp, "depth", len(self.base.units))
        widths = self.base.units
        if "width" in self.space:
            widths = (self._drawn(hp, "width", None),) * depth
        elif depth != len(widths):
            widths = (widths[0],) * depth
        found = {"units": tuple(widths)}
        for name, wanted in self.space.items():
            if name in space.EACH_LAYER:
                one = space.EACH_LAYER[name]
                found[one] = tuple(
                    wanted.drawn(hp, f"{one}_{number}", self.usual(one, number))
                    for number in range(1, depth + 1)
                )
            elif name not in ("width", "depth"):
                found[name] = self._drawn(hp, name, None)
        rule = found.pop("threshold_rule", None)
        epochs = hp.values.get("tuner/epochs", self.base.epochs)
        config = dataclasses.replace(self.base, epochs=epochs, **self._in_units(found))
        own = self._own_data(hp)
        if own is not None:
            count = min(config.negatives_count, own.num_classes - 1)
            config = dataclasses.replace(config, negatives_count=count)
        return config if rule is None else self._by_rule(config, rule, own)

    def _drawn(self, hp, name, otherwise):
        if name not in self.space:
            return otherwise
        return self.space[name].drawn(hp, name, self.usual(name))

    def usual(self, name, number=1):
        """Where a search begins: what the base has.

        Args:
            name: string, a name of `keras_ff.tuning.SPACE`.
            number: integer, the layer's, from 1 on. Defaults to `1`.

        Returns:
            What `keras_ff.tuning.space.Between.drawn` takes, in the same units as what it
            returns; `None` where the base says nothing.
        """
        return usual_of(self.base, name, number)

    def _in_units(self, found):
        """What was found, with thresholds, margins and alpha on the scale of the goodness."""
        found = dict(found)
        part = _goodness(self.base, **found)
        units = [part.unit((None, width)) for width in found["units"]]
        for name in ("threshold", "margin"):
            value = found.get(name)
            if isinstance(value, tuple):
                found[name] = tuple(one * unit for one, unit in zip(value, units, strict=True))
            elif value is not None and len(set(units)) == 1:
                found[name] = value * units[0]
            elif value is not None:
                found[name] = tuple(value * unit for unit in units)
        if "alpha" in found:
            found["alpha"] = found["alpha"] / units[0]
        loss = losses.get(found.get("loss", self.base.loss))
        # A loss is given its own parameters, and others are left out.
        for name in ("threshold", "margin", "alpha"):
            if name not in loss.get_config():
                found[name] = None
        return found

    def _by_rule(self, config, rule, own):
        """A configuration whose thresholds are learned, calibrated, or the usual ones."""
        if config.threshold is None:  # of a loss without one
            return config
        if rule != "calibrated":
            return dataclasses.replace(config, threshold=rule)
        usual = dataclasses.replace(config, threshold="auto")
        if usual not in self._calibrated:
            x, y = self._first_samples(usual, own)
            self._calibrated[usual] = calibrated_thresholds(self._new_model(usual, own), x, y)
        return dataclasses.replace(config, threshold=self._calibrated[usual])

    def beginnings(self):
        """Values to try at the beginning, after those that the base has: a list of dictionaries."""
        return []

    def build(self, hp):
        """The model of a trial, built and compiled."""
        own = self._own_data(hp)
        if own is not None:
            own.note(hp)
        return self._new_model(self.config(hp), own)

    def _new_model(self, config, own=None):
        keras.utils.set_random_seed(config.seed)
        if own is not None:
            steps = own.steps(config.batch_size)
            return config.new_model(own.sample_shape, own.num_classes, steps, own.first)
        shape, steps = self._shape_and_steps(config)
        samples = config.training_samples(self.data_dir)
        return config.new_model(shape, self.num_classes, steps, samples)

    @functools.cached_property
    def num_classes(self):
        """Number of classes of the configuration's dataset."""
        return datasets.info(self.base.dataset, data_dir=self.data_dir).num_classes

    def _shape_and_steps(self, config):
        """The shape of a sample of the dataset, and the number of batches per epoch."""
        if config.batch_size not in self._batches:
            training, _, _ = config.load_data(data_dir=self.data_dir)
            shape = tuple(training.element_spec[0].shape[1:])
            self._batches[config.batch_size] = shape, len(training)
        return self._batches[config.batch_size]

    def _first_samples(self, config, own):
        if own is None:
            return next(iter(config.load_data(data_dir=self.data_dir)[0]))
        if own.first is None:
            raise ValueError(
                "Thresholds are calibrated on samples, which this search was given: call `search` "
                "with them first."
            )
        return own.first

    def _own_data(self, hp):
        """What is known of the data that `search` was given, here or before; `None` without."""
        noted = OwnData.noted(hp)
        return self._own if noted is None or noted == self._own else noted

    def fit(self, hp, model, *args, **kwargs):
        """Train the model of a trial.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: what `build` returned, with the weights of an earlier bracket under Hyperband.
            *args, **kwargs: what the tuner's `search` was given, for `FFModel.fit`.

        Returns:
            The metrics of the best epoch of the last stage, in which the network is whole, by
            validation accuracy: a dictionary, with `failed`: 1 where the training was ended
            because nothing could come of it, else 0.
        """
        if args or "x" in kwargs:
            model = self._of_own_data(hp, model, *args, **kwargs)
        config = self.config(hp)
        kwargs.setdefault("epochs", config.epochs)
        if args or "x" in kwargs:
            x = args[0] if args else kwargs["x"]
            if is_array(x):
                kwargs.setdefault("batch_size", config.batch_size)
        else:
            training, validation, _ = config.load_data(
                kwargs.get("initial_epoch", 0), self.data_dir
            )
            kwargs |= {"x": training, "validation_data": validation}
        return trained(model, config, *args, **kwargs)

    def _of_own_data(self, hp, model, *args, callbacks=(), **kwargs):
        """The model of a trial for the data that `search` was given, which `build` did not know."""
        arguments = inspect.signature(keras.Model.fit).bind(model, *args, **kwargs).arguments
        arguments = {name: arguments[name] for name in own_data.ARGUMENTS if name in arguments}
        known = self._own_arguments or {}
        if arguments.keys() != known.keys() or any(
            value is not known[name] for name, value in arguments.items()
        ):
            try:
                self._own = own_data.given(**arguments, num_classes=self._given_classes)
            except ValueError as error:  # the same for every trial
                raise keras_tuner.errors.FatalValueError(str(error)) from error
            self._own_arguments, self._calibrated = arguments, {}
        noted = OwnData.noted(hp)
        if noted is None:
            tuners = [one.tuner for one in callbacks or () if hasattr(one, "tuner")]
            return tuners[0]._build_hypermodel(hp) if tuners else self.build(hp)
        if noted != self._own:
            raise keras_tuner.errors.FatalValueError(
                f"This search is one of samples of shape {noted.sample_shape} and "
                f"{noted.num_classes} classes. Received: samples of shape "
                f"{self._own.sample_shape} and {self._own.num_classes} classes"
            )
        return model


def usual_of(config, name, number):
    """What a configuration has for a layer, on the scale of `FFHyperModel.usual`."""
    if name == "depth":
        return len(config.units)
    if name == "width":
        return config.units[min(number, len(config.units)) - 1]
    value = getattr(config, name, None)
    if isinstance(value, tuple):
        value = value[min(number, len(value)) - 1]
    if name == "goodness_scale" and value is None:
        return _goodness(config).get_config().get("scale")
    if name not in ("threshold", "margin", "alpha"):
        return value
    if name == "threshold" and isinstance(value, str):  # learned ones begin there too
        return losses.AUTO_THRESHOLD
    if name == "alpha" and value == losses.AUTO:
        return activations.typical_alpha(config.activation)
    if not isinstance(value, (int, float)):
        return None
    unit = _goodness(config).unit((None, usual_of(config, "width", number)))
    return value * unit if name == "alpha" else value / unit


def _goodness(config, **found):
    """The goodness of a configuration, with what was found in the place of its own."""
    part = goodness.get(found.get("goodness", config.goodness))
    scale = found.get("goodness_scale", config.goodness_scale)
    if scale is None:
        return part
    return type(part).from_config({**part.get_config(), "scale": scale})


def trained(model, config, *args, callbacks=None, **kwargs):
    """Train a model by a trial's configuration; returns what `FFHyperModel.fit` does."""
    initial_epoch = kwargs.get("initial_epoch", 0)
    failing = _Failing(kwargs["epochs"] - initial_epoch)
    callbacks = [*(callbacks or []), failing]
    if config.weight_averaging:
        # First, so that KerasTuner finds averages in the place of weights where it saves them.
        callbacks.insert(0, keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
    try:
        history = model.fit(*args, callbacks=callbacks, **kwargs).history
    except OSError as error:  # such as a full disk, which is no fault of the trial
        raise keras_tuner.errors.FatalValueError(f"The search has to end: {error}") from error
    if failing.failed:  # perhaps before it came to validation
        history.setdefault("val_accuracy", [0.0])
    if "val_accuracy" not in history:
        raise ValueError(
            "A trial is judged by its validation accuracy: give `search` validation data. "
            f"Received: metrics {sorted(history)}"
        )
    # From behind, since validation may have come in the last epochs alone.
    last = model.stages[-1]
    accuracies = history["val_accuracy"][-(last.end - max(last.first, initial_epoch)) :]
    best = int(np.argmax(np.nan_to_num(accuracies, nan=-1.0))) - len(accuracies)
    found = {name: float(values[best]) for name, values in history.items()}
    for name, value in found.items():
        if not math.isfinite(value):
            found[name] = WORST["max" if "accuracy" in name else "min"]
    return {**found, "failed": float(failing.failed)}


class _Failing(keras.callbacks.Callback):
    """Ends a training that nothing can come of."""

    def __init__(self, epochs):
        super().__init__()
        self.patience = max(2, epochs // 4)
        self.epochs = 0
        self.failed = False

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        by_chance = logs.get("val_accuracy", 1.0) <= 1.5 / self.model.num_classes
        lost = not math.isfinite(logs["loss"])
        self.failed = lost or (by_chance and self.epochs >= self.patience)
        if self.failed:
            self.model.stop_training = True
