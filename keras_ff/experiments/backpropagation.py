"""Backpropagation by the configuration of a Forward-Forward network, to stand beside it."""

import pathlib
import time

import keras

from keras_ff import datasets, training
from keras_ff.learning_rates import ConstantThenLinear

NETWORK_FILE = "network.keras"
RECORD_FILE = "record.json"


def train(config, folder, data_dir=None, callbacks=()):
    """Train the network of a configuration by backpropagation; go on with what is in the folder.

    The layers, their normalisation and dropout, the data, the batches and the learning rate are
    those of the configuration; a softmax head takes the place of goodness, the cross-entropy that
    of the layers' losses. Weights are not averaged.

    Args:
        config: a `TrainingConfig`.
        folder: string or path. After every epoch it gets a backup, from which an interrupted
            training goes on; in the end the network.
        data_dir: folder of the prepared datasets. Defaults to `None`.
        callbacks: list of `keras.callbacks.Callback`. Defaults to none.

    Returns:
        The trained `keras.Model`, and a dictionary: the `seconds` that its training took, and its
        `history`, as of `keras.Model.fit`.

    Example:

    >>> from keras_ff.recipes import TrainingConfig
    >>> config = TrainingConfig.for_dataset("digits", units=32, epochs=1)
    >>> network, record = train(config, "runs/backpropagation")
    >>> network.output_shape
    (None, 10)
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    recorder = _Recorder(folder / RECORD_FILE)
    if (folder / NETWORK_FILE).exists():
        return keras.saving.load_model(folder / NETWORK_FILE), recorder.record
    keras.utils.set_random_seed(config.seed)
    # Samples come in the order of the epoch that is trained next.
    epoch = len(recorder.record["history"].get("loss", []))
    samples, validation, _ = config.load_data(epoch, data_dir)
    image_shape = samples.element_spec[0].shape[1:]
    num_classes = datasets.info(config.dataset, data_dir=data_dir).num_classes
    model = config.new_model(tuple(image_shape), num_classes, len(samples))
    network = model.to_backprop(carry_weights=False)
    network.compile(
        keras.optimizers.Adam(
            ConstantThenLinear(config.learning_rate, config.epochs * len(samples))
        ),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    network.fit(
        samples,
        epochs=config.epochs,
        validation_data=validation,
        callbacks=[recorder, keras.callbacks.BackupAndRestore(folder / "backup"), *callbacks],
        shuffle=False,  # the pipeline does
        verbose=0,
    )
    network.save(folder / NETWORK_FILE)
    return network, recorder.record


class _Recorder(keras.callbacks.Callback):
    """Keeps seconds and history of a training, those before an interruption too."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.record = {"seconds": 0.0, "history": {}}
        if path.exists():
            self.record = training.read_json(path)

    def on_train_begin(self, logs=None):
        self.begin = time.perf_counter() - self.record["seconds"]

    def on_epoch_end(self, epoch, logs=None):
        self.record["seconds"] = time.perf_counter() - self.begin
        for name, value in logs.items():
            # An epoch that was trained again is not counted twice.
            values = self.record["history"].setdefault(name, [])
            values[epoch:] = [float(value)]
        training.write_json(self.path, self.record)
