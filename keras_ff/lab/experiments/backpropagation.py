"""Backpropagation by the configuration of a Forward-Forward network, to stand beside it."""

import functools
import pathlib
import time

import keras

from keras_ff import datasets, training
from keras_ff.models.state import generator_states
from keras_ff.optimizers.learning_rates import ConstantThenLinear
from keras_ff.training.checkpoint import add_epoch

NETWORK_FILE = "network.keras"


def train(
    config, folder, data_dir=None, callbacks=(), validation_freq=1, save_freq=1, new_model=None
):
    """Train the network of a configuration by backpropagation; go on with what is in the folder.

    The layers, their normalisation and dropout, the data, the batches and the learning rate are
    those of the configuration; a softmax head takes the place of goodness, the cross-entropy that
    of the layers' losses. Weights are not averaged. `new_model` makes another network, as of
    `keras_ff.training.train`, compiled for backpropagation. Every `save_freq` epochs and after the
    last one the folder gets the network and the record of its training: the `seconds` it took,
    and its `history`.

    Example:

    >>> from keras_ff.recipes import TrainingConfig
    >>> config = TrainingConfig.for_dataset("digits", units=32, epochs=1)
    >>> network, record = train(config, "runs/backpropagation")
    >>> network.output_shape
    (None, 10)
    """
    path = pathlib.Path(folder) / NETWORK_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    network, record = None, {"seconds": 0.0, "history": {}}
    if path.exists():
        network, record = training.read(path)
    epoch = len(record["history"].get("loss", []))
    if epoch == config.epochs:
        return network, record
    keras.utils.set_random_seed(config.seed)
    samples, validation, _ = config.load_data(epoch, data_dir)
    if network is None:
        image_shape = tuple(samples.element_spec[0].shape[1:])
        num_classes = datasets.info(config.dataset, data_dir=data_dir).num_classes
        make = new_model or functools.partial(new_network, config, data_dir)
        network = make(image_shape, num_classes, len(samples))
    else:
        for state, value in zip(generator_states(network), record["generators"], strict=True):
            state.assign(value)
    network.fit(
        samples,
        initial_epoch=epoch,
        epochs=config.epochs,
        validation_data=validation,
        validation_freq=validation_freq,
        callbacks=[_Recorder(record, path, save_freq), *callbacks],
        shuffle=False,  # the pipeline does
        verbose=0,
    )
    return network, record


def new_network(config, data_dir, image_shape, num_classes, steps_per_epoch):
    """The network of a configuration, compiled for backpropagation."""
    samples = config.training_samples(data_dir)
    model = config.new_model(image_shape, num_classes, steps_per_epoch, samples)
    network = model.to_backprop(carry_weights=False)
    rate = ConstantThenLinear(config.learning_rate, config.epochs * steps_per_epoch)
    network.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return network


class _Recorder(keras.callbacks.Callback):
    """Writes the network and the record of its training every `save_freq` epochs, in one file."""

    def __init__(self, record, path, save_freq):
        super().__init__()
        self.record = record
        self.path = path
        self.save_freq = save_freq

    def on_train_begin(self, logs=None):
        self.begin = time.perf_counter() - self.record["seconds"]

    def on_epoch_end(self, epoch, logs=None):
        self.record["seconds"] = time.perf_counter() - self.begin
        add_epoch(self.record["history"], epoch, logs)
        states = generator_states(self.model)
        self.record["generators"] = [keras.ops.convert_to_numpy(state).tolist() for state in states]
        if (epoch + 1) % self.save_freq == 0 or epoch + 1 == self.params["epochs"]:
            training.save(self.model, self.record, self.path)
        # Writing is not training: the clock goes on from here.
        self.begin = time.perf_counter() - self.record["seconds"]
