"""A model and the record of its training in one file, written after every epoch."""

import json
import time
import warnings
import zipfile

import keras

from keras_ff.models import FFModel
from keras_ff.utils.files import first_sentence, for_json, path_of, write_json, write_whole

HISTORY_FILE = "history.json"
MODEL_FILE = "model.keras"
# The entry of a .keras file that holds how the model was trained and how far.
RUN_ENTRY = "keras_ff_run.json"
# In the record of a run: what a readout took that learned after the layers.
READOUT_SECONDS = "readout_seconds"


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
    path = path_of(path)
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
            f"{str(path)!r} is not a model that keras_ff can read: {first_sentence(error)}."
        ) from error


def save(model, run, path):
    """Write a model and the record of its training as one file, whole or not at all."""

    def write(temporary):
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(RUN_ENTRY, json.dumps(for_json(run)))

    write_whole(path, write)


def add_epoch(history, epoch, logs):
    """Add the logs of an epoch to a history; nan stands for what an epoch did not log."""
    for name in {**history, **logs}:
        values = history.setdefault(name, [float("nan")] * epoch)
        values.append(float(logs.get(name, float("nan"))))


class Checkpoint(keras.callbacks.Callback):
    """Writes the model with the record of its run every `save_freq` epochs, one worker for all."""

    def __init__(self, run, folder, distribution, save_freq=1):
        super().__init__()
        self.run = run
        self.folder = folder
        self.distribution = distribution
        self.save_freq = save_freq

    def on_train_begin(self, logs=None):
        self.begin = time.perf_counter() - self.run["seconds"]

    def on_epoch_end(self, epoch, logs=None):
        add_epoch(self.run["history"], epoch, logs)
        self.run["epoch"] = epoch + 1
        self.run["seconds"] = time.perf_counter() - self.begin
        if (epoch + 1) % self.save_freq == 0:
            self.write(self.model)
        # Writing is not training: the clock goes on from here.
        self.begin = time.perf_counter() - self.run["seconds"]

    def write(self, model):
        """Write the model as it is now."""
        if self.distribution.is_chief:
            with self.distribution.saving():
                save(model, self.run, self.folder / MODEL_FILE)
                write_json(self.folder / HISTORY_FILE, self.run["history"])
