"""A search in a folder: by a tuner of KerasTuner, which can be resumed after any interruption."""

import contextlib
import dataclasses
import os
import warnings

import keras
import keras_tuner

from keras_ff import training
from keras_ff.tuning import own_data, snapshots
from keras_ff.tuning.hyper_model import FFHyperModel
from keras_ff.tuning.layer_wise import LayerHyperModel, samples_in_memory
from keras_ff.utils import checks, files, registry
from keras_ff.utils.files import for_json, path_of

SEARCH_FILE = "search.json"
BEST = "best"
LOGS = "tensorboard"
# Set where several processes search together, see KerasTuner.
IN_COMPANY = "KERASTUNER_ORACLE_IP"
OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


class _FromTheUsual:
    """An oracle of KerasTuner that first tries the values of the base, and then `beginnings`."""

    def __init__(self, beginnings, **settings):
        super().__init__(**settings)
        self.beginnings = [{}, *beginnings]

    def populate_space(self, trial_id):
        if len(self.trials) >= len(self.beginnings):
            return super().populate_space(trial_id)
        known = self.hyperparameters
        usual = {one.name: one.default for one in known.space if known.is_active(one)}
        return {"status": "RUNNING", "values": {**usual, **self.beginnings[len(self.trials)]}}


class _RandomOracle(_FromTheUsual, keras_tuner.oracles.RandomSearchOracle):
    pass


class _BayesianOracle(_FromTheUsual, keras_tuner.oracles.BayesianOptimizationOracle):
    pass


def _random(hyper_model, trials, directory, project_name, **settings):
    oracle = _RandomOracle(hyper_model.beginnings(), max_trials=trials, **settings)
    return keras_tuner.Tuner(oracle, hyper_model, directory=directory, project_name=project_name)


def _bayesian(hyper_model, trials, directory, project_name, **settings):
    # KerasTuner begins with three random trials for each hyperparameter, which may be all there
    # are: a third of them shall do.
    settings = {"max_trials": trials, "num_initial_points": max(3, trials // 3), **settings}
    oracle = _BayesianOracle(hyper_model.beginnings(), **settings)
    return keras_tuner.Tuner(oracle, hyper_model, directory=directory, project_name=project_name)


def _grid(hyper_model, trials, **arguments):
    return keras_tuner.GridSearch(hyper_model, max_trials=trials, **arguments)


def _hyperband(hyper_model, trials, **arguments):
    del trials  # as many as its brackets have
    return keras_tuner.Hyperband(hyper_model, max_epochs=hyper_model.base.epochs, **arguments)


TUNERS = {"random": _random, "bayesian": _bayesian, "hyperband": _hyperband, "grid": _grid}


def tune(base, search, folder, trials=20, tuner="bayesian", resume=False, data_dir=None, verbose=1):
    """Search for what trains best on validation data.

    The best trial's network is written to `best` in the folder, a preset, and TensorBoard, given
    the folder, shows all trials on its page HParams.

    With KerasTuner's environment variables (`KERASTUNER_ORACLE_IP`, `KERASTUNER_ORACLE_PORT`,
    `KERASTUNER_TUNER_ID`) several processes search together, one of which is `chief`; they share
    the folder.

    Args:
        base: a `TrainingConfig`, all of which holds but what is searched.
        search: what is searched, as for `FFHyperModel`.
        folder: string or path: where KerasTuner keeps the trials.
        trials: integer, how many; Hyperband has as many as its brackets. Defaults to `20`.
        tuner: `"random"`, `"bayesian"`, `"hyperband"` or `"grid"`. Defaults to `"bayesian"`.
        resume: boolean. Whether to go on with the search in the folder. Defaults to `False`: a
            folder that holds one is refused.
        data_dir: folder of the prepared datasets. Defaults to `None`.
        verbose: 0, or 1 for KerasTuner's progress. Defaults to `1`.

    Returns:
        A list of `Result`, best first; of a worker in a search of several, an empty one.

    Raises:
        ValueError: if the folder holds a search and `resume` is false, if that search is another,
            or an argument is none that is known.
    """
    _check(trials, tuner, TUNERS)
    hyper_model = FFHyperModel(base, search, data_dir)
    searched = _searched(hyper_model, folder, trials, tuner, resume, verbose, base.seed)
    found = results(searched, hyper_model)
    if found and not found[0].failed:
        _keep(_best_models(searched)[0], found[0], folder)
    return found


def tune_layers(
    base,
    search,
    folder,
    trials=10,
    tuner="bayesian",
    resume=False,
    data_dir=None,
    verbose=1,
    candidates=2,
):
    """Search layer by layer: each on top of the best candidates below, which stay frozen.

    So the trials it takes grow with the number of layers, and not with the power of it, and none
    of them trains or computes a layer below. The network of the best ones is written to `best` in
    the folder, a preset.

    Args:
        base: a `TrainingConfig`, all of which holds but what is searched. Each layer learns for an
            equal share of its epochs.
        search: what is searched, as for `LayerHyperModel`.
        folder, resume, data_dir, verbose: as for `tune`.
        trials: integer, how many for each layer. Defaults to `10`.
        tuner: `"random"`, `"bayesian"` or `"grid"`. Defaults to `"bayesian"`.
        candidates: integer, how many of a layer's best trials the next layer may stand on.
            Defaults to `2`.

    Returns:
        A list with a list of `Result` for each layer, best first. Those of the last layer are of
        the whole network.

    Raises:
        ValueError: as for `tune` and `LayerHyperModel`.
    """
    _check(trials, tuner, [name for name in TUNERS if name != "hyperband"])
    checks.whole_number(candidates, "candidates")
    data = samples_in_memory(base, data_dir)
    layers, below, found = [], [], []
    for number in range(1, len(base.units) + 1):
        hyper_model = LayerHyperModel(base, search, below, found, data, data_dir)
        own_folder = path_of(folder) / f"layer_{number}"
        if verbose:
            print(f"Layer {number} of {len(base.units)}", flush=True)
        seed = base.seed + number
        searched = _searched(hyper_model, own_folder, trials, tuner, resume, verbose, seed)
        layers.append(results(searched, hyper_model))
        below = _best_models(searched, candidates)
        found = [one.config for one in layers[-1][: len(below)]]
    if not layers[-1][0].failed:
        _keep(below[0], layers[-1][0], folder)
    return layers


def _best_models(tuner, count=1):
    with warnings.catch_warnings():
        # Their optimizers start anew.
        warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
        return tuner.get_best_models(count)


def _keep(model, result, folder):
    model.save_to_preset(
        path_of(folder) / BEST,
        weights="float32",
        config=result.config,
        validation_accuracy=result.score,
    )


def _check(trials, tuner, known):
    checks.whole_number(trials, "trials")
    if tuner not in known:
        raise ValueError(
            f"There is no tuner {tuner!r} here. {registry.nearest(tuner, known)} "
            f"Received: tuner={tuner!r}"
        )


def _searched(hyper_model, folder, trials, tuner, resume, verbose, seed):
    """A tuner of KerasTuner that has searched in a folder."""
    folder = path_of(folder)
    # Chief and workers share the folder.
    with contextlib.nullcontext() if IN_COMPANY in os.environ else files.held(folder):
        return _search(hyper_model, folder, trials, tuner, resume, verbose, seed)


def _search(hyper_model, folder, trials, tuner, resume, verbose, seed):
    """As `_searched`, in a folder that is held."""
    callbacks = []
    if IN_COMPANY in os.environ:
        folder.mkdir(parents=True, exist_ok=True)
    else:
        _begin(folder, hyper_model, {"tuner": tuner, "trials": trials}, resume)
        callbacks.append(_KeepRecords(folder))
    if keras.backend.backend() == "tensorflow":  # KerasTuner writes its page under no other
        callbacks.append(TensorBoard(str(folder / LOGS), write_graph=False))
    found = TUNERS[tuner](
        hyper_model,
        trials,
        objective=OBJECTIVE,
        seed=seed + 1,  # it takes 0 for none, and draws one
        directory=folder,
        project_name=snapshots.RECORDS,
        # A search goes on, whatever becomes of its trials.
        max_consecutive_failed_trials=10**6,
    )
    found.search(verbose=verbose, callbacks=callbacks)
    return found


class TensorBoard(keras.callbacks.TensorBoard):
    """Writes the metrics of epochs alone, so that none of a batch is waited for.

    KerasTuner shows the trials of a search on the page HParams where a callback has this name.
    """

    async_safe = True

    def on_train_batch_end(self, batch, logs=None):
        pass

    def on_test_batch_end(self, batch, logs=None):
        pass


class _KeepRecords(keras.callbacks.Callback):
    """Keeps a copy of the search's records, from before each trial."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def on_train_begin(self, logs=None):
        snapshots.take(self.folder)


def _begin(folder, hyper_model, settings, resume):
    """Write down what is searched, or check that it is the same."""
    record = for_json(
        {
            **settings,
            "base": hyper_model.base.to_dict(),
            "search": {name: dataclasses.asdict(one) for name, one in hyper_model.space.items()},
            "beginnings": hyper_model.beginnings(),
        }
    )
    path = folder / SEARCH_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        files.write_json(path, record)
    elif not resume:
        raise ValueError(
            f"The folder {str(folder)!r} holds a search already: add --resume (`resume=True`) to "
            "go on with it, or choose another --out."
        )
    elif training.read_json(path) != record:
        raise ValueError(
            f"The search in {str(folder)!r} is another: go on with what {SEARCH_FILE} says, or "
            "choose another --out."
        )
    snapshots.restore(folder)


@dataclasses.dataclass(frozen=True)
class Result:
    """What came of a trial.

    Args:
        trial: string, KerasTuner's name of it.
        values: dictionary, what was chosen, in units of the goodness.
        config: the `TrainingConfig` that it was trained by.
        score: float, the best validation accuracy, a fraction; `None` where there is none.
        failed: boolean, whether the training was ended early because nothing could come of it.
    """

    trial: str
    values: dict
    config: object
    score: float | None
    failed: bool


def results(tuner, hyper_model):
    """All trials of a tuner that have ended, best first; a worker knows of none."""
    found = []
    for name, trial in getattr(tuner.oracle, "trials", {}).items():
        if trial.status not in ("COMPLETED", "FAILED", "INVALID"):
            continue
        failed = trial.status != "COMPLETED"
        if not failed and trial.metrics.exists("failed"):
            failed = trial.metrics.get_best_value("failed") > 0
        values = {
            key: float(value) if isinstance(value, float) else value  # which may be numpy's
            for key, value in trial.hyperparameters.values.items()
            if not key.startswith("tuner/") and key not in own_data.NAMES
        }
        config = hyper_model.config(trial.hyperparameters)
        score = None if trial.score is None else float(trial.score)
        found.append(Result(name, values, config, score, bool(failed)))
    return sorted(found, key=lambda one: -(one.score or 0.0))
