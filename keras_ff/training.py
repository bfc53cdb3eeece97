"""Training runs: one folder a run, one file an epoch, to be gone on with after any interruption."""

import contextlib
import dataclasses
import importlib
import json
import os
import pathlib
import platform
import shlex
import time
import warnings
import zipfile

import keras
import numpy as np

from keras_ff import (
    datasets,
    labels,
    layer_schedules,
    layers,
    losses,
    negatives,
    parts,
    visualization,
)
from keras_ff.learning_rates import ConstantThenLinear
from keras_ff.models import FFModel
from keras_ff.version import __version__

CONFIG_FILE = "config.json"
HISTORY_FILE = "history.json"
METRICS_FILE = "metrics.json"
MODEL_FILE = "model.keras"
LEARNING_CURVES_FILE = "learning_curves.png"
GOODNESS_FILE = "goodness_separation.png"

# The entry of a .keras file that holds how the model was trained and how far.
RUN_ENTRY = "keras_ff_run.json"
# Samples on which the picture of the goodness separation is measured, at most.
PICTURE_SAMPLES = 1000

# What to train with where nothing else is asked for, by dataset. Datasets that are not listed
# take the defaults of `TrainingConfig`.
DEFAULTS = {
    "digits": {
        "units": (300, 300, 300),
        "layer_schedule": "simultaneous",
        "epochs": 30,
        "batch_size": 64,
        "learning_rate": 3e-3,
    },
    "mnist": {
        "units": (500, 500, 500),
        "negatives_count": 9,
        "alpha": 32.0,
        "label_strength": 0.05,
        "standardize": False,
        "shift": 1,
        "layer_schedule": "simultaneous",
        "epochs": 12,
        "batch_size": 128,
        "learning_rate": 2e-3,
        "dtype_policy": "mixed_bfloat16",
    },
}


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """All that a training run depends on: two runs of one configuration end with equal figures.

    `TrainingConfig.for_dataset` starts from what suits a dataset.

    Args:
        dataset: string, a name for `keras_ff.datasets.load`.
        units: tuple of integers, the width of each layer, first to last.
        activation: string, a name for `keras_ff.activations.get`.
        goodness, loss, negatives, label_embedding, layer_schedule, readout: strings, names for the
            modules of keras_ff that they are called after.
        alpha, threshold, margin: parameters of the loss, for those losses that have them;
            `None` stands for the loss's default.
        negatives_count: integer, negatives a sample.
        label_strength: float, energy of the label as a share of the sample's.
        normalization: string, a name for `FFLayer`.
        dropout: float in [0, 1).
        epochs: integer, epochs in all.
        batch_size: integer.
        learning_rate: float: Adam's rate for the first half of a layer's steps, which then falls
            linearly to 0.
        weight_averaging: float in [0, 1), momentum of a moving average of the weights which takes
            their place in validation and at the end; 0 for none.
        validation_share: float in [0, 1), share of the training samples kept for validation.
        standardize: boolean. Whether channels are standardised.
        shift: integer, pixels by which training images are shifted at most.
        flip: boolean. Whether training images are mirrored at random.
        image_size: tuple (height, width) to resize images to, or `None`.
        dtype_policy: string, a Keras dtype policy.
        seed: integer: of the split, the order of samples, the weights and the negatives.

    Raises:
        ValueError: if a name is unknown, a value is out of its range or a parameter is not one of
            the loss.

    Example:

    >>> TrainingConfig(units=[500, 300], loss="logistic").threshold
    'auto'
    """

    dataset: str = datasets.EMBEDDED
    units: tuple = (500, 500, 500)
    activation: str = "relu"
    goodness: str = "mean_of_squares"
    loss: str = "label_softmax"
    alpha: float | str | None = None
    threshold: float | str | tuple | None = None
    margin: float | tuple | None = None
    negatives: str = "random_labels"
    negatives_count: int = 5
    label_embedding: str = "append"
    label_strength: float = 0.1
    normalization: str = "length"
    dropout: float = 0.0
    layer_schedule: str = "greedy"
    readout: str = "goodness"
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_averaging: float = 0.0
    validation_share: float = 1 / 6
    standardize: bool = True
    shift: int = 0
    flip: bool = False
    image_size: tuple | None = None
    dtype_policy: str = "float32"
    seed: int = 0

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if not isinstance(self.units, tuple) or not self.units:
            raise ValueError(
                "`units` must hold the width of each layer, at least one. "
                f"Received: units={self.units!r}"
            )
        for width in self.units:
            _check_count(width, "units")
        _check_count(self.epochs, "epochs")
        _check_count(self.batch_size, "batch_size")
        _check_count(self.seed, "seed", minimum=0)
        parts.positive_number(self.learning_rate, "learning_rate")
        parts.share(self.weight_averaging, "weight_averaging")
        # Parameters of the loss are written out, so that a configuration says all.
        for name, value in self._loss().get_config().items():
            object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)

    @classmethod
    def for_dataset(cls, dataset=datasets.EMBEDDED, layers=None, data_dir=None, **chosen):
        """A configuration that suits a dataset, apart from what is chosen.

        Args:
            dataset: string, a name for `keras_ff.datasets.load`. Defaults to `"digits"`.
            layers: integer, number of layers. Defaults to `None`: as `units` or the dataset say.
            data_dir: folder of the prepared datasets, as for `keras_ff.datasets.info`.
            **chosen: arguments of `TrainingConfig`; `units` may be one integer for all layers. A
                threshold or a margin without a loss implies the logistic loss.

        Returns:
            A `TrainingConfig`.

        Raises:
            ValueError: as for `TrainingConfig`, or if the dataset is unknown or `layers` and
                `units` contradict each other.
        """
        num_classes = datasets.info(dataset, data_dir=data_dir).num_classes
        fallback = {field.name: field.default for field in dataclasses.fields(cls)}
        recipe = {**fallback, **DEFAULTS.get(dataset.partition(":")[0], {}), "dataset": dataset}
        recipe["negatives_count"] = min(recipe["negatives_count"], num_classes - 1)
        recipe["units"] = widths(chosen.pop("units", None), layers, recipe["units"])
        if not {"threshold", "margin"}.isdisjoint(chosen):
            chosen.setdefault("loss", "logistic")
        # The steepness of a loss suits that loss and the goodness it is measured on.
        if any(chosen.get(name, recipe[name]) != recipe[name] for name in ("loss", "goodness")):
            recipe["alpha"] = None
        unknown = [name for name in chosen if name not in recipe]
        if unknown:
            raise ValueError(
                f"A training has no option {unknown[0]!r}. {parts.nearest(unknown[0], recipe)} "
                f"Received: {unknown[0]}={chosen[unknown[0]]!r}"
            )
        return cls(**{**recipe, **chosen})

    @classmethod
    def from_dict(cls, config):
        """The configuration that `to_dict` gave, or a ValueError where it is of another kind."""
        try:
            return cls(**config)
        except TypeError as error:
            raise ValueError(
                f"This is not the configuration of a training of keras_ff {__version__} "
                f"({error}). Received: {config!r}"
            ) from error

    def to_dict(self):
        """The configuration as JSON holds it."""
        return _for_json(dataclasses.asdict(self))

    def command(self):
        """The command that trains by this configuration, every option written out."""
        words = ["keras-ff", "train"]
        for name, value in self.to_dict().items():
            option = "--" + name.replace("_", "-")
            if isinstance(value, bool):
                words.append(option if value else option.replace("--", "--no-", 1))
            elif value is not None:
                words += [option, _plainly(value)]
        return shlex.join(words)

    def load_data(self, initial_epoch=0, data_dir=None):
        """Training, validation and test pipelines, the first one from epoch `initial_epoch` on."""
        return datasets.load(
            self.dataset,
            self.batch_size,
            validation_share=self.validation_share,
            seed=self.seed,
            standardize=self.standardize,
            augment={"shift": self.shift, "flip": self.flip},
            image_size=self.image_size,
            data_dir=data_dir,
            initial_epoch=initial_epoch,
        )

    def new_model(self, image_shape, num_classes, steps_per_epoch):
        """An `FFModel`, built and compiled. Dtype policy and seed are for the caller to set.

        Args:
            image_shape: tuple, shape of a sample.
            num_classes: integer.
            steps_per_epoch: integer, batches an epoch: the learning rates fall by them.
        """
        schedule = layer_schedules.get(self.layer_schedule)
        turns = [
            schedule.learning_layers(epoch, self.epochs, len(self.units))
            for epoch in range(self.epochs)
        ]
        model = FFModel(
            [
                layers.FFDense(
                    width,
                    activation=self.activation,
                    goodness=self.goodness,
                    normalization=self.normalization,
                    dropout=self.dropout,
                    optimizer=self._optimizer(
                        sum(index in turn for turn in turns) * steps_per_epoch
                    ),
                )
                for index, width in enumerate(self.units)
            ],
            num_classes=num_classes,
            label_embedding=_with(labels.get(self.label_embedding), strength=self.label_strength),
            negatives=_with(negatives.get(self.negatives), count=self.negatives_count),
            layer_schedule=schedule,
            readout=self.readout,
        )
        model.compile(
            optimizer=self._optimizer(self.epochs * steps_per_epoch),
            loss=self._loss(),
            metrics=["accuracy"],
        )
        model.build((None, *image_shape))
        return model

    def _optimizer(self, total_steps):
        averaging = {}
        if self.weight_averaging:
            averaging = {"use_ema": True, "ema_momentum": self.weight_averaging}
        # A layer whose turn never comes takes no steps, but has an optimizer all the same.
        return keras.optimizers.Adam(
            ConstantThenLinear(self.learning_rate, max(total_steps, 1)), **averaging
        )

    def _loss(self):
        loss = losses.get(self.loss)
        parameters = {
            name: list(value) if isinstance(value, tuple) else value
            for name in ("alpha", "threshold", "margin")
            if (value := getattr(self, name)) is not None
        }
        for name in parameters:
            if name not in loss.get_config():
                takers = [other for other in losses.KNOWN if name in losses.get(other).get_config()]
                raise ValueError(
                    f"The loss {self.loss!r} has no {name}; "
                    f"{' and '.join(repr(taker) for taker in takers)} "
                    f"{'has' if len(takers) == 1 else 'have'} one. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        return _with(loss, **parameters)


def widths(units, layers, default):
    """The width of each layer, as a tuple.

    Args:
        units: `None`, an integer for all layers, or a list with one integer a layer.
        layers: `None` or the number of layers.
        default: tuple, the widths where neither says anything.

    Raises:
        ValueError: if a list of units has not one entry a layer.
    """
    if layers is not None:
        _check_count(layers, "layers")
    if units is None:
        return default if layers in (None, len(default)) else (default[0],) * layers
    if isinstance(units, int):
        return (units,) * (layers or len(default))
    if layers not in (None, len(units)):
        raise ValueError(
            f"`units` must be one number or one for each of the {layers} layers. "
            f"Received: layers={layers}, units={','.join(map(str, units))}"
        )
    return tuple(units)


def train(config, folder, resume=False, data_dir=None, verbose="auto"):
    """Train a model by a configuration, into a folder that then holds all about the run.

    The folder gets `config.json`; after every epoch `model.keras`, with optimizers, random
    generators, history and seconds, in one piece or not at all, and `history.json`; in the end two
    pictures and `metrics.json`. A run that was killed at any moment and is resumed begins the
    interrupted epoch again and ends with the very figures of an undisturbed one. The test set is
    read once, at the end.

    Args:
        config: a `TrainingConfig`.
        folder: string or path. Made where it is missing.
        resume: boolean. Whether to go on with the run in the folder. A folder without one starts
            it; a run that is complete is reported and left as it is. Defaults to `False`: a
            folder that holds a run is refused.
        data_dir: folder of the prepared datasets, as for `keras_ff.datasets.load`. Defaults to
            `None`.
        verbose: `"auto"`, 0, 1 (a progress bar) or 2 (a line an epoch), as for `keras.Model.fit`.
            Defaults to `"auto"`.

    Returns:
        What `metrics.json` holds, a dictionary: `test_accuracy` and `validation_accuracy` as
        fractions, `seconds` of training, `epochs`, `samples_per_second`, `seed`, `versions` and
        more.

    Raises:
        ValueError: if the folder holds a run and `resume` is false, if that run has another
            configuration, or if data or model cannot be made as the configuration says.

    Example:

    >>> metrics = train(TrainingConfig.for_dataset(epochs=1), "runs/first", verbose=0)
    >>> metrics["test_accuracy"] > 0.6
    True
    """
    folder = pathlib.Path(folder)
    finished = _state_of(folder, config, resume)
    if finished is not None:
        return finished
    with _dtype_policy(config.dtype_policy):
        keras.utils.set_random_seed(config.seed)
        if (folder / MODEL_FILE).exists():
            model, run = load(folder / MODEL_FILE)
            if run is None:
                raise ValueError(
                    f"{str(folder / MODEL_FILE)!r} was not written by a run, so there is nothing "
                    "to go on with: choose another --out."
                )
            check_same(run["config"], config)
            data = config.load_data(run["epoch"], data_dir)
        else:
            data = config.load_data(0, data_dir)
            image_shape = data[0].element_spec[0].shape[1:]
            num_classes = datasets.info(config.dataset, data_dir=data_dir).num_classes
            model = config.new_model(image_shape, num_classes, len(data[0]))
            run = {"config": config.to_dict(), "epoch": 0, "seconds": 0.0, "history": {}}
        folder.mkdir(parents=True, exist_ok=True)
        _write_json(folder / CONFIG_FILE, config.to_dict())
        _fit(model, run, config, data, folder, verbose)
        return _finish(model, run, data, folder)


def load(path):
    """A model that keras_ff saved, and the record of the run that trained it.

    Args:
        path: string or path of a `.keras` file, or of a run's folder.

    Returns:
        The `FFModel` and a dictionary with `config`, `epoch`, `seconds`, `history` and, of a
        complete run, `samples`; or `None` for a model that was saved outside of a run.

    Raises:
        ValueError: if there is no such file, it is damaged, or it holds no `FFModel`.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        if not (path / MODEL_FILE).exists():
            raise ValueError(f"The folder {str(path)!r} holds no {MODEL_FILE}.")
        path = path / MODEL_FILE
    if not path.exists():
        raise ValueError(f"There is no model file {str(path)!r}.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            run = json.loads(archive.read(RUN_ENTRY)) if RUN_ENTRY in names else None
        with warnings.catch_warnings():
            # A model that was saved before its first step has no state of optimizers to load.
            warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
            model = keras.saving.load_model(path)
    # What a damaged or foreign file leads to inside Keras is of any kind.
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} is not a model that keras_ff can read: {_first_sentence(error)}."
        ) from error
    if not isinstance(model, FFModel):
        raise ValueError(f"{str(path)!r} holds a {type(model).__name__}, not an FFModel.")
    return model, run


def figures(model, data):
    """Accuracy, accuracy of every class and confusion matrix of a model on a data set.

    Args:
        model: an `FFModel`.
        data: `tf.data.Dataset` of batches (x, y), in an order that is always the same.

    Returns:
        A dictionary with `accuracy`, a float; `per_class_accuracy`, a list with nan for classes
        without samples; and `confusion_matrix`, a list with a row for every true class.
    """
    from sklearn import metrics

    truth = np.concatenate([np.asarray(y) for _, y in data])
    answers = np.argmax(model.predict(data, verbose=0), axis=1)
    classes = np.arange(model.num_classes)
    return {
        "accuracy": float(metrics.accuracy_score(truth, answers)),
        "per_class_accuracy": metrics.recall_score(
            truth, answers, labels=classes, average=None, zero_division=np.nan
        ).tolist(),
        "confusion_matrix": metrics.confusion_matrix(truth, answers, labels=classes).tolist(),
    }


def report(model, config, run, validation, test):
    """What is to be said of a model in numbers, ready for JSON.

    Args:
        model: an `FFModel`.
        config: the `TrainingConfig` by which the data were made.
        run: the record of the run that trained the model, as from `load`, or `None`.
        validation: accuracy on the validation part, or `None`.
        test: figures of the test set, as from `figures`.

    Returns:
        A dictionary, `None` where something is not known.
    """
    run = run or {}
    seconds, samples = run.get("seconds"), run.get("samples")
    epochs = run.get("epoch")
    return {
        "dataset": config.dataset,
        "test_accuracy": test["accuracy"],
        "validation_accuracy": validation,
        "per_class_accuracy": _for_json(test["per_class_accuracy"]),
        "confusion_matrix": test["confusion_matrix"],
        "epochs": epochs,
        "seconds": seconds,
        "samples_per_second": samples * epochs / seconds if samples and seconds else None,
        "seed": config.seed,
        "parameters": model.count_params(),
        "locality": model.locality,
        "command": TrainingConfig.from_dict(run["config"]).command() if run else None,
        "versions": versions(),
        "machine": {
            "architecture": platform.machine(),
            "processors": os.cpu_count(),
            "devices": keras.distribution.list_devices(),
        },
    }


def versions():
    """Versions of what the figures depend on, by name."""
    backend = keras.backend.backend()
    return {
        "keras_ff": __version__,
        "keras": keras.version(),
        backend: importlib.import_module(backend).__version__,
        "python": platform.python_version(),
    }


def read_json(path):
    """What a JSON file of a run holds, or a ValueError that names the file."""
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {_first_sentence(error)}.") from error


def check_same(saved, chosen):
    """Raise ValueError where options differ from those of the run that they are to go on with.

    Args:
        saved: dictionary, the configuration of the run.
        chosen: a `TrainingConfig`, or a dictionary of some options.
    """
    chosen = chosen.to_dict() if isinstance(chosen, TrainingConfig) else _for_json(chosen)
    for name, value in chosen.items():
        if saved.get(name) != value:
            option = "--" + name.replace("_", "-")
            kept = f"no {option}"
            if saved.get(name) is not None:
                kept = f"{option} {_plainly(saved[name])}"
            raise ValueError(
                f"The run to resume has {kept}, which a resumed run keeps: leave {option} out, or "
                f"start another run. Received: {option} {_plainly(value)}"
            )


# The parts of a run.


def _state_of(folder, config, resume):
    """The metrics of a run that is complete, `None` where there is something left to do."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"A run needs a folder; {str(folder)!r} is a file.")
    if not any((folder / name).exists() for name in (CONFIG_FILE, MODEL_FILE, METRICS_FILE)):
        return None
    if not resume:
        raise ValueError(
            f"The folder {str(folder)!r} holds a run already: add --resume (`resume=True`) to go "
            "on with it, or choose another --out."
        )
    if (folder / CONFIG_FILE).exists():
        check_same(read_json(folder / CONFIG_FILE), config)
    if (folder / METRICS_FILE).exists():
        return read_json(folder / METRICS_FILE)
    return None


class _Checkpoint(keras.callbacks.Callback):
    """Writes the model with the record of its run after every epoch."""

    def __init__(self, run, folder):
        super().__init__()
        self.run = run
        self.folder = folder

    def on_train_begin(self, logs=None):
        self.begin = time.perf_counter() - self.run["seconds"]

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.run["history"].setdefault(name, []).append(float(value))
        self.run["epoch"] = epoch + 1
        self.run["seconds"] = time.perf_counter() - self.begin
        _save(self.model, self.run, self.folder)
        # Writing is not training: the clock goes on from here.
        self.begin = time.perf_counter() - self.run["seconds"]


def _fit(model, run, config, data, folder, verbose):
    """Train the epochs that are left, and write the trained model."""
    training, validation, _ = data
    callbacks = [_Checkpoint(run, folder)]
    if config.weight_averaging:
        # After the checkpoint, which so finds weights and averages each in their place.
        callbacks.append(keras.callbacks.SwapEMAWeights())
    # Where no epoch is left, Keras still puts averages in the place of weights.
    model.fit(
        training,
        epochs=config.epochs,
        initial_epoch=run["epoch"],
        validation_data=validation,
        callbacks=callbacks,
        verbose=verbose,
    )
    run["samples"] = sum(len(y) for _, y in training)
    _save(model, run, folder)


def _finish(model, run, data, folder):
    """Measure a trained model and write the pictures and, last of all, the metrics."""
    config = TrainingConfig.from_dict(run["config"])
    _, validation, test = data
    validation_accuracy = None if validation is None else figures(model, validation)["accuracy"]
    metrics = report(model, config, run, validation_accuracy, figures(model, test))
    x, y = _first_samples(test if validation is None else validation, PICTURE_SAMPLES)
    for name, picture in (
        (LEARNING_CURVES_FILE, visualization.learning_curves(run["history"])),
        (GOODNESS_FILE, visualization.goodness_separation(model, x, y)),
    ):
        _write_atomically(folder / name, picture.savefig)
    # That this file is there tells that the run is complete.
    _write_json(folder / METRICS_FILE, metrics)
    return metrics


def _first_samples(data, count):
    """The first samples of a pipeline as two arrays."""
    images, labels_, found = [], [], 0
    for x, y in data:
        images.append(np.asarray(x))
        labels_.append(np.asarray(y))
        found += len(y)
        if found >= count:
            break
    return np.concatenate(images)[:count], np.concatenate(labels_)[:count]


@contextlib.contextmanager
def _dtype_policy(name):
    """Keras's dtype policy while a model is made or loaded."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


# Files: whole or not at all.


def _save(model, run, folder):
    def write(path):
        model.save(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(RUN_ENTRY, json.dumps(_for_json(run)))

    _write_atomically(folder / MODEL_FILE, write)
    _write_json(folder / HISTORY_FILE, run["history"])


def _write_json(path, content):
    text = json.dumps(_for_json(content), indent=1) + "\n"
    _write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _write_atomically(path, write):
    """Have `write` write to a file beside `path`, which then takes the place of `path`."""
    temporary = path.with_name(f"{path.stem}.partial{path.suffix}")
    write(temporary)
    _flush_to_disk(temporary, os.O_RDWR)
    os.replace(temporary, path)
    if os.name == "posix":  # elsewhere folders cannot be opened
        _flush_to_disk(path.parent, os.O_RDONLY)


def _flush_to_disk(path, mode):
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _for_json(content):
    """`content` with lists for tuples and None for what JSON has no number for."""
    if isinstance(content, dict):
        return {name: _for_json(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_for_json(value) for value in content]
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content


# Arguments and errors.


def _with(part, **changed):
    """A part like `part`, with some arguments changed."""
    return type(part).from_config({**part.get_config(), **changed})


def _check_count(value, name, minimum=1):
    if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
        raise ValueError(
            f"`{name}` must be an integer of at least {minimum}. Received: {name}={value!r}"
        )


def _plainly(value):
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _first_sentence(error):
    text = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".:")
    return text or type(error).__name__
