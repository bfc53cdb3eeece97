"""A search in a folder: by a tuner of KerasTuner, to be gone on with after any interruption."""

import dataclasses
import json
import pathlib

import keras_tuner

from keras_ff import parts, training
from keras_ff.recipes import for_json
from keras_ff.tuning import snapshots
from keras_ff.tuning.hyper_model import FFHyperModel

SEARCH_FILE = "search.json"
OBJECTIVE = keras_tuner.Objective("val_accuracy", "max")


def _random(hyper_model, trials, **arguments):
    return keras_tuner.RandomSearch(hyper_model, max_trials=trials, **arguments)


def _bayesian(hyper_model, trials, **arguments):
    return keras_tuner.BayesianOptimization(hyper_model, max_trials=trials, **arguments)


def _grid(hyper_model, trials, **arguments):
    return keras_tuner.GridSearch(hyper_model, max_trials=trials, **arguments)


def _hyperband(hyper_model, trials, **arguments):
    del trials  # as many as its brackets have
    return keras_tuner.Hyperband(hyper_model, max_epochs=hyper_model.base.epochs, **arguments)


TUNERS = {"random": _random, "bayesian": _bayesian, "hyperband": _hyperband, "grid": _grid}


def tune(base, search, folder, trials=20, tuner="bayesian", resume=False, data_dir=None, verbose=1):
    """Search for what trains best on validation data.

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
        A list of `Result`, best first.

    Raises:
        ValueError: if the folder holds a search and `resume` is false, if that search is another,
            or an argument is none that is known.
    """
    if tuner not in TUNERS:
        raise ValueError(
            f"There is no tuner {tuner!r}. {parts.nearest(tuner, TUNERS)} Received: tuner={tuner!r}"
        )
    parts.whole_number(trials, "trials")
    folder = pathlib.Path(folder)
    hyper_model = _Recorded(base, search, data_dir, folder)
    _begin(folder, hyper_model, {"tuner": tuner, "trials": trials}, resume)
    found = TUNERS[tuner](
        hyper_model,
        trials,
        objective=OBJECTIVE,
        seed=base.seed,
        directory=folder,
        project_name=snapshots.RECORDS,
        # A search goes on, whatever becomes of its trials.
        max_consecutive_failed_trials=10**6,
    )
    found.search(verbose=verbose)
    return results(found, hyper_model)


class _Recorded(FFHyperModel):
    """Keeps a copy of the search's records, from before each trial."""

    def __init__(self, base, search, data_dir, folder):
        super().__init__(base, search, data_dir)
        self.folder = folder

    def fit(self, hp, model, *args, **kwargs):
        snapshots.take(self.folder)
        return super().fit(hp, model, *args, **kwargs)


def _begin(folder, hyper_model, settings, resume):
    """Write down what is searched, or check that it is the same."""
    record = for_json(
        {
            **settings,
            "base": hyper_model.base.to_dict(),
            "search": {name: dataclasses.asdict(one) for name, one in hyper_model.space.items()},
        }
    )
    path = folder / SEARCH_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
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
    """All trials of a tuner that have ended, best first."""
    found = []
    for name, trial in tuner.oracle.trials.items():
        if trial.status not in ("COMPLETED", "FAILED", "INVALID"):
            continue
        failed = trial.status != "COMPLETED"
        if not failed and trial.metrics.exists("failed"):
            failed = trial.metrics.get_best_value("failed") > 0
        values = {
            key: float(value) if isinstance(value, float) else value  # which may be numpy's
            for key, value in trial.hyperparameters.values.items()
            if not key.startswith("tuner/")
        }
        config = hyper_model.config(trial.hyperparameters)
        found.append(Result(name, values, config, trial.score, failed))
    return sorted(found, key=lambda one: -(one.score or 0.0))
