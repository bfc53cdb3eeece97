"""Training runs: one folder per run, one file per epoch, to be resumed after any interruption."""

import contextlib
import functools
import time

import keras

from keras_ff import datasets, distribution as distributions, measurements, visualization
from keras_ff.callbacks import FFTensorBoard
from keras_ff.recipes import TrainingConfig
from keras_ff.training.checkpoint import MODEL_FILE, READOUT_SECONDS, Checkpoint, load, save
from keras_ff.training.results import classification_metrics, report
from keras_ff.utils import extras, files
from keras_ff.utils.files import for_json, path_of, read_json, write_json, write_whole
from keras_ff.utils.text_tables import plainly

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.json"
LEARNING_CURVES_FILE = "learning_curves.png"
GOODNESS_FILE = "goodness_separation.png"
TENSORBOARD_FOLDER = "tensorboard"

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
    validation_freq=1,
    save_freq=1,
):
    """Train a model by a configuration, into a folder that then holds all about the run.

    The folder gets `config.json`; after every epoch `model.keras`, with optimizers, random
    generators, history and seconds, in one piece or not at all, and `history.json`; in the end two
    pictures and `metrics.json`. A run that was killed at any moment and is resumed begins the
    interrupted epoch again and ends with the same metrics as an undisturbed one. A readout that
    learns after the layers is written when it has learned, and begun again where it was
    interrupted. The test set is read once, at the end.

    Args:
        config: a `TrainingConfig`.
        folder: string or path. Made where it is missing.
        resume: boolean. Whether to go on with the run in the folder. A folder without one starts
            it; a run that is complete is reported and left as it is. Defaults to `False`: a
            folder that holds a run is refused.
        data_dir: as for `keras_ff.datasets.load`. Defaults to `None`.
        verbose: `"auto"`, 0, 1 (a progress bar) or 2 (a line per epoch), as for `keras.Model.fit`.
            Defaults to `"auto"`.
        distribution: `None` for one device, `"devices"` for all of this machine, or `"workers"`
            for those of several machines, on each of which the same run is started with the same
            folder, one that they share; see `keras_ff.distribution`. The batch size is that of
            all devices together. Defaults to `None`.
        tensorboard: boolean. Whether every layer is shown in TensorBoard, by
            `keras_ff.callbacks.FFTensorBoard` on validation samples, from the folder
            `tensorboard`. A run that is resumed goes on in that folder where there is one. Under
            `"workers"` nothing is measured besides what is in the logs. Defaults to `False`.
        callbacks: list of `keras.callbacks.Callback`, called after an epoch is saved. Defaults to
            none.
        new_model: function of a sample's shape, the number of classes and that of batches per
            epoch, which makes another model than the configuration's own, built and compiled; the
            configuration then says of data, epochs and seed alone. Defaults to `None`.
        command: string, what trains such a model, for the records. Defaults to `None`: the
            configuration's own command.
        validation_freq: integer, epochs from one validation to the next, as for
            `keras.Model.fit`; the others have nan in the history. Defaults to `1`.
        save_freq: integer, epochs from one saved model to the next, for epochs that take less time
            than writing a file; those after the last one are trained again after a kill. Defaults
            to `1`.

    Returns:
        What `metrics.json` holds, a dictionary: `test_accuracy` and `validation_accuracy` as
        fractions, `seconds` of training, `epochs`, `samples_per_second`, `seed`, `versions` and
        more.

    Raises:
        ValueError: if another process trains in the folder, if it holds a run and `resume` is
            false, if that run has another configuration or `command`, or if data or model cannot
            be made as the configuration says.
        ImportError: if the extra `datasets` or `plot` is not installed, or for TensorBoard
            `tensorboard`; it is a `ValueError` as well.
        OSError: if the folder cannot be written, as on a full disk. What was written before is
            whole, and is gone on with by `resume`.

    Example:

    >>> metrics = train(TrainingConfig.for_dataset(epochs=1), "runs/first", verbose=0)
    >>> metrics["test_accuracy"] > 0.6
    True
    """
    extras.require("Pictures of a run", "plot", "matplotlib")  # which are drawn in the end
    distribution = distributions.get(distribution)
    folder = path_of(folder)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"A run needs a folder; {str(folder)!r} is a file.")
    # Of several workers, who share the folder, the first one holds it.
    with files.held(folder) if distribution.is_chief else contextlib.nullcontext():
        finished = _state_of(folder, config, resume, distribution.is_chief)
        if finished is not None:
            _check_command(finished.get("command"), command)
            return finished
        keras.utils.set_random_seed(config.seed)
        model, run, data = _begun(config, folder, data_dir, distribution, new_model, command)
        if distribution.is_chief:
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / CONFIG_FILE, config.to_dict())
            if command is not None and not (folder / MODEL_FILE).exists():
                # The configuration alone does not say what is trained.
                save(model, run, folder / MODEL_FILE)
        if READOUT_SECONDS not in run:
            how = {"verbose": verbose, "validation_freq": validation_freq}
            with distribution.training():
                checkpoint = Checkpoint(run, folder, distribution, save_freq)
                _fit(model, run, config, data, folder, how, checkpoint, tensorboard, callbacks)
            if config.readout_epochs is not None:
                model = _with_head(model, run, config, data_dir, folder, verbose, distribution)
        return _finish(distribution.measurable(model), run, data, folder, distribution.is_chief)


def _begun(config, folder, data_dir, distribution, new_model, command):
    """The model, the state and the data of a run: those that a folder holds, or new ones."""
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
        return model, run, config.load_data(run["epoch"], data_dir)
    data = config.load_data(0, data_dir)
    image_shape = data[0].element_spec[0].shape[1:]
    num_classes = datasets.info(config.dataset, data_dir=data_dir).num_classes
    if new_model is None:
        samples = config.training_samples(data_dir)
        new_model = functools.partial(config.new_model, samples=samples)
    with distribution.scope():
        model = new_model(image_shape, num_classes, len(data[0]))
    run = {"config": config.to_dict(), "epoch": 0, "seconds": 0.0, "history": {}}
    if command is not None:
        run["command"] = command
    return model, run, data


def check_same(saved, chosen):
    """Raise ValueError where options differ from those of the run that they are to go on with."""
    chosen = chosen.to_dict() if isinstance(chosen, TrainingConfig) else for_json(chosen)
    saved = TrainingConfig.from_dict(saved).to_dict()  # an earlier version knew fewer options
    for name, value in chosen.items():
        if saved.get(name) != value:
            if name == "model":
                raise ValueError(
                    "The run to resume trains another model, which a resumed run keeps: start "
                    "another run, in another folder."
                )
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


def _fit(model, run, config, data, folder, how, checkpoint, tensorboard, others):
    """Train the epochs that are left, and write the trained model; `how` is for `fit`."""
    training, validation, _ = data
    distribution = checkpoint.distribution
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
        **how,
    )
    run["samples"] = sum(len(y) for _, y in training)
    checkpoint.write(model)


def _with_head(model, run, config, data_dir, folder, verbose, distribution):
    """The model with a readout that has learned on its trained layers, written as well."""
    training, validation, _ = config.load_data(config.epochs, data_dir)
    with distribution.scope():
        model = model.rebuild(readout=config.new_head(len(training)))
    if verbose and distribution.is_chief:
        print("The layers have learned; now the readout does.", flush=True)
    begin = time.perf_counter()
    with distribution.training():
        model.fit_readout(
            distribution.part(training),
            epochs=config.readout_epochs,
            # Others than those that choose take their temperature from training samples.
            validation_data=distribution.part(validation) if model.readout.chooses else None,
            verbose=verbose,
        )
        run[READOUT_SECONDS] = time.perf_counter() - begin
        Checkpoint(run, folder, distribution).write(model)
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
    validation_accuracy = (
        None if validation is None else classification_metrics(model, validation)["accuracy"]
    )
    metrics = report(model, config, run, validation_accuracy, classification_metrics(model, test))
    if not is_chief:
        return metrics
    x, y = measurements.first_samples(test if validation is None else validation, PICTURE_SAMPLES)
    for name, picture in (
        (LEARNING_CURVES_FILE, visualization.learning_curves(run["history"])),
        (GOODNESS_FILE, visualization.goodness_separation(model, x, y)),
    ):
        write_whole(folder / name, picture.savefig)
    # Where this file lies, the run is complete.
    write_json(folder / METRICS_FILE, metrics)
    return metrics
