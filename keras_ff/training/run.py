"""Training runs: one folder a run, one file an epoch, to be gone on with after any interruption."""

import importlib
import json
import os
import pathlib
import platform
import time
import warnings
import zipfile

import keras
import numpy as np

from keras_ff import datasets, distribution as distributions, measurements, visualization
from keras_ff.callbacks import FFTensorBoard
from keras_ff.models import FFModel, rebuild
from keras_ff.recipes import TrainingConfig, for_json, plainly
from keras_ff.version import __version__

CONFIG_FILE = "config.json"
HISTORY_FILE = "history.json"
METRICS_FILE = "metrics.json"
MODEL_FILE = "model.keras"
LEARNING_CURVES_FILE = "learning_curves.png"
GOODNESS_FILE = "goodness_separation.png"
TENSORBOARD_FOLDER = "tensorboard"

# The entry of a .keras file that holds how the model was trained and how far.
RUN_ENTRY = "keras_ff_run.json"
# In the record of a run: what a readout took that learned after the layers.
READOUT_SECONDS = "readout_seconds"
# Samples on which the picture of the goodness separation is measured, at most.
PICTURE_SAMPLES = 1000
# The same for what is shown in TensorBoard after every epoch.
BOARD_SAMPLES = 500
NOTHING_MEASURED = {
    "measure_freq": 0,
    "distribution_freq": 0,
    "picture_freq": 0,
    "write_projector": False,
    "write_graph": False,
}


def train(
    config,
    folder,
    resume=False,
    data_dir=None,
    verbose="auto",
    distribution=None,
    tensorboard=False,
    callbacks=(),
    new_model=None,
    command=None,
):
    """Train a model by a configuration, into a folder that then holds all about the run.

    The folder gets `config.json`; after every epoch `model.keras`, with optimizers, random
    generators, history and seconds, in one piece or not at all, and `history.json`; in the end two
    pictures and `metrics.json`. A run that was killed at any moment and is resumed begins the
    interrupted epoch again and ends with the very figures of an undisturbed one. A readout that
    learns after the layers is written when it has learned, and begun again where it was
    interrupted. The test set is read once, at the end.

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
        distribution: `None` for one device, `"devices"` for all of this machine, or `"workers"`
            for those of several machines, on each of which the same run is started with the same
            folder, one that they share; see `keras_ff.distribution`. The batch size is that of
            all devices together. Defaults to `None`.
        tensorboard: boolean. Whether every layer is shown in TensorBoard, by
            `keras_ff.callbacks.FFTensorBoard` on validation samples, from the folder
            `tensorboard`. A run that is resumed goes on in that folder where there is one. Under
            `"workers"` nothing is measured besides what is in the logs. Defaults to `False`.
        callbacks: list of `keras.callbacks.Callback`, told of the training after an epoch is
            saved. Defaults to none.
        new_model: function of a sample's shape, the number of classes and that of batches an
            epoch, which makes another model than the configuration's own, built and compiled; the
            configuration then says of data, epochs and seed alone. Defaults to `None`.
        command: string, what trains such a model, for the records. Defaults to `None`: the
            configuration's own command.

    Returns:
        What `metrics.json` holds, a dictionary: `test_accuracy` and `validation_accuracy` as
        fractions, `seconds` of training, `epochs`, `samples_per_second`, `seed`, `versions` and
        more.

    Raises:
        ValueError: if the folder holds a run and `resume` is false, if that run has another
            configuration or `command`, or if data or model cannot be made as the configuration
            says.

    Example:

    >>> metrics = train(TrainingConfig.for_dataset(epochs=1), "runs/first", verbose=0)
    >>> metrics["test_accuracy"] > 0.6
    True
    """
    distribution = distributions.get(distribution)
    folder = pathlib.Path(folder)
    finished = _state_of(folder, config, resume, distribution.is_chief)
    if finished is not None:
        _check_command(finished.get("command"), command)
        return finished
    keras.utils.set_random_seed(config.seed)
    if (folder / MODEL_FILE).exists():
        with distribution.scope():
            model, run = load(folder / MODEL_FILE)
        if run is None:
            raise ValueError(
                f"{str(folder / MODEL_FILE)!r} was not written by a run, so there is nothing "
                "to go on with: choose another --out."
            )
        check_same(run["config"], config)
        _check_command(run.get("command"), command)
        data = config.load_data(run["epoch"], data_dir)
    else:
        data = config.load_data(0, data_dir)
        image_shape = data[0].element_spec[0].shape[1:]
        num_classes = datasets.info(config.dataset, data_dir=data_dir).num_classes
        with distribution.scope():
            model = (new_model or config.new_model)(image_shape, num_classes, len(data[0]))
        run = {"config": config.to_dict(), "epoch": 0, "seconds": 0.0, "history": {}}
        if command is not None:
            run["command"] = command
    if distribution.is_chief:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / CONFIG_FILE, config.to_dict())
        if command is not None and not (folder / MODEL_FILE).exists():
            # The configuration alone does not say what is trained.
            save(model, run, folder / MODEL_FILE)
    if READOUT_SECONDS not in run:
        with distribution.training():
            _fit(model, run, config, data, folder, verbose, distribution, tensorboard, callbacks)
        if config.readout_epochs is not None:
            model = _with_head(model, run, config, data_dir, folder, verbose, distribution)
    return _finish(distribution.measurable(model), run, data, folder, distribution.is_chief)


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
    model, run = read(path)
    if not isinstance(model, FFModel):
        raise ValueError(f"{str(path)!r} holds a {type(model).__name__}, not an FFModel.")
    return model, run


def read(path):
    """Any model that `save` wrote or Keras did, and its record, `None` where it has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            run = json.loads(archive.read(RUN_ENTRY)) if RUN_ENTRY in names else None
        with warnings.catch_warnings():
            # A model that was saved before its first step has no state of optimizers to load.
            warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
            return keras.saving.load_model(path), run
    # What a damaged or foreign file leads to inside Keras is of any kind.
    except Exception as error:
        raise ValueError(
            f"{str(path)!r} is not a model that keras_ff can read: {_first_sentence(error)}."
        ) from error


def save(model, run, path):
    """Write a model and the record of its training as one file, whole or not at all."""

    def write(temporary):
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(RUN_ENTRY, json.dumps(for_json(run)))

    _write_atomically(path, write)


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
        "per_class_accuracy": for_json(test["per_class_accuracy"]),
        "confusion_matrix": test["confusion_matrix"],
        "epochs": epochs,
        "seconds": seconds and seconds + run.get(READOUT_SECONDS, 0.0),
        "samples_per_second": samples * epochs / seconds if samples and seconds else None,
        "seed": config.seed,
        "parameters": model.count_params(),
        "locality": model.locality,
        "command": run.get("command")
        or (TrainingConfig.from_dict(run["config"]).command() if run else None),
        "versions": versions(),
        "machine": machine(),
    }


def machine():
    """What the seconds depend on, by name."""
    return {
        "architecture": platform.machine(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "devices": keras.distribution.list_devices(),
    }


def _processor():
    """The processor's name and its units for matrix products in bfloat16, as far as told."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    told = {key.strip(): value.strip() for key, value in told.items()}
    units = {"amx_bf16", "avx512_bf16"} & set(told.get("flags", "").split())
    return ", ".join([told.get("model name", platform.processor()), *sorted(units)])


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
    chosen = chosen.to_dict() if isinstance(chosen, TrainingConfig) else for_json(chosen)
    for name, value in chosen.items():
        if saved.get(name) != value:
            option = "--" + name.replace("_", "-")
            kept = f"no {option}"
            if saved.get(name) is not None:
                kept = f"{option} {plainly(saved[name])}"
            raise ValueError(
                f"The run to resume has {kept}, which a resumed run keeps: leave {option} out, or "
                f"start another run. Received: {option} {plainly(value)}"
            )


def _check_command(saved, chosen):
    """Raise ValueError where a run to go on with trains another network than is asked for."""
    if chosen is not None and saved != chosen:
        raise ValueError(
            f"The run to resume was begun by `{saved}`: go on with that, or choose another --out. "
            f"Received: `{chosen}`"
        )


# The parts of a run.


def _state_of(folder, config, resume, is_chief):
    """The metrics of a run that is complete, `None` where there is something left to do."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"A run needs a folder; {str(folder)!r} is a file.")
    signs = [MODEL_FILE, METRICS_FILE]
    if is_chief:  # which may just have written it, seen from another worker
        signs.append(CONFIG_FILE)
    if not any((folder / name).exists() for name in signs):
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
    """Writes the model with the record of its run after every epoch, one worker for all."""

    def __init__(self, run, folder, distribution):
        super().__init__()
        self.run = run
        self.folder = folder
        self.distribution = distribution

    def on_train_begin(self, logs=None):
        self.begin = time.perf_counter() - self.run["seconds"]

    def on_epoch_end(self, epoch, logs=None):
        for name, value in logs.items():
            self.run["history"].setdefault(name, []).append(float(value))
        self.run["epoch"] = epoch + 1
        self.run["seconds"] = time.perf_counter() - self.begin
        self.write(self.model)
        # Writing is not training: the clock goes on from here.
        self.begin = time.perf_counter() - self.run["seconds"]

    def write(self, model):
        """Write the model as it is now."""
        if self.distribution.is_chief:
            with self.distribution.saving():
                save(model, self.run, self.folder / MODEL_FILE)
                write_json(self.folder / HISTORY_FILE, self.run["history"])


def _fit(model, run, config, data, folder, verbose, distribution, tensorboard, others):
    """Train the epochs that are left, and write the trained model."""
    training, validation, _ = data
    checkpoint = _Checkpoint(run, folder, distribution)
    callbacks = [checkpoint, *others]
    if distribution.is_chief and (tensorboard or (folder / TENSORBOARD_FOLDER).exists()):
        # Before the checkpoint: an epoch that is saved has been shown.
        callbacks.insert(0, _board(config, folder, validation, distribution))
    if config.weight_averaging:
        # After the checkpoint, which so finds weights and averages each in their place.
        callbacks.append(keras.callbacks.SwapEMAWeights())
    # Where no epoch is left, Keras still puts averages in the place of weights.
    model.fit(
        distribution.part(training),
        epochs=config.epochs,
        initial_epoch=run["epoch"],
        validation_data=validation and distribution.part(validation),
        callbacks=callbacks,
        verbose=verbose,
    )
    run["samples"] = sum(len(y) for _, y in training)
    checkpoint.write(model)


def _with_head(model, run, config, data_dir, folder, verbose, distribution):
    """The model with a readout that has learned on its trained layers, written as well."""
    training, _, _ = config.load_data(config.epochs, data_dir)
    with distribution.scope():
        model = rebuild.remade(model, readout=config.new_head(len(training)))
    if verbose and distribution.is_chief:
        print("The layers have learned; now the readout does.", flush=True)
    begin = time.perf_counter()
    with distribution.training():
        model.fit_readout(
            distribution.part(training), epochs=config.readout_epochs, verbose=verbose
        )
        run[READOUT_SECONDS] = time.perf_counter() - begin
        _Checkpoint(run, folder, distribution).write(model)
    return model


def _board(config, folder, validation, distribution):
    """The callback for TensorBoard; it measures on validation samples alone."""
    path = folder / TENSORBOARD_FOLDER
    if distribution.across_workers:  # one of them cannot ask the model by itself
        return FFTensorBoard(path, hparams=config, **NOTHING_MEASURED)
    samples = None if validation is None else measurements.first_samples(validation, BOARD_SAMPLES)
    return FFTensorBoard(path, samples=samples, hparams=config)


def _finish(model, run, data, folder, is_chief):
    """Measure a trained model and write the pictures and, last of all, the metrics."""
    config = TrainingConfig.from_dict(run["config"])
    _, validation, test = data
    validation_accuracy = None if validation is None else figures(model, validation)["accuracy"]
    metrics = report(model, config, run, validation_accuracy, figures(model, test))
    if not is_chief:
        return metrics
    x, y = measurements.first_samples(test if validation is None else validation, PICTURE_SAMPLES)
    for name, picture in (
        (LEARNING_CURVES_FILE, visualization.learning_curves(run["history"])),
        (GOODNESS_FILE, visualization.goodness_separation(model, x, y)),
    ):
        _write_atomically(folder / name, picture.savefig)
    # That this file is there tells that the run is complete.
    write_json(folder / METRICS_FILE, metrics)
    return metrics


# Files: whole or not at all.


def write_json(path, content):
    """Write a JSON file, whole or not at all; what is no number becomes null."""
    text = json.dumps(for_json(content), indent=1) + "\n"
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


# Arguments and errors.


def _first_sentence(error):
    text = str(error).strip().split("\n")[0].split(". ")[0].rstrip(".:")
    return text or type(error).__name__
