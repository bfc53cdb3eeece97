"""Tantravahi et al. 2024: dense layers and convolutions on CIFAR-10, by SGD with momentum."""

import dataclasses
import functools

import keras

import keras_ff
from keras_ff import layers, readouts
from keras_ff.lab.experiments.networks import metrics, plain
from keras_ff.lab.experiments.table import Cell
from keras_ff.losses import Logistic, SymBa
from keras_ff.optimizers.learning_rates import ConstantThenLinear
from keras_ff.recipes import TrainingConfig

MOMENTUM = 0.9
# A label of 1.0 in three channels, as a share of the energy of 3072 standardised pixels.
LABEL_STRENGTH = 0.001
# Five kinds of augmentation; how much of the last two is not said.
AUGMENTATION = {"flip": True, "shift": 4, "rotate": 20.0, "colors": 0.2, "erase": 8}
DATA = {"dataset": "cifar10", "validation_share": 0.2, **AUGMENTATION}
REMARKS = (
    "As published: sums of squares less the number of units under a logistic loss, as in the "
    "source's repository, one wrong label as negative, the label over the first pixels, length "
    "normalisation, peer normalisation of weight 0.03, SGD with momentum, a rate that is constant "
    "to half and then falls linearly, and a linear head on all layers but the first. The source "
    "writes labels of height 1 and a neutral label of a tenth; ours have the same energy on the "
    "mean, the neutral one too."
)

CONVOLUTIONS = (
    "Its rate, decay and head are those of the source's first experiment, of its convolutions the "
    "source tells none; the label is a wave over the image, where the source writes it over the "
    "first pixels, and length normalisation is over the whole sample, where the source has it over "
    "the height."
)


def sgd(learning_rate, weight_decay, total_steps):
    """SGD with momentum as PyTorch has it, which adds the decay to the gradient.

    Keras takes the decay off the weights once a step, without momentum, by which the source's
    counts 1 / (1 − momentum) times.
    """
    return keras.optimizers.SGD(
        ConstantThenLinear(learning_rate, total_steps),
        momentum=MOMENTUM,
        weight_decay=weight_decay / (1 - MOMENTUM),
    )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A row of its table 4.1."""

    batch_size: int
    learning_rate: float
    weight_decay: float
    epochs: int
    activation: str
    units: int
    layers: int
    readout_learning_rate: float
    readout_weight_decay: float

    def network(
        self,
        sample_shape,
        num_classes,
        epochs,
        steps,
        printed_loss=False,
        make_negatives=None,
        normalization="length",
        peer=0.03,
    ):
        """Dense layers and a linear head on all but the first.

        Args:
            sample_shape, num_classes, epochs, steps: as for all networks here.
            printed_loss: boolean. Whether the loss is the softmax over a pair of sums, as the
                source prints it. Defaults to `False`: the logistic loss of its repository.
            make_negatives: a function that makes the source of negatives. Defaults to `None`:
                random wrong labels.
            normalization: string, of the layers' inputs. Defaults to `"length"`.
            peer: float, weight of peer normalisation; 0 for none. Defaults to `0.03`.
        """
        del sample_shape
        own = {} if make_negatives is None else {"negatives": make_negatives()}
        head = sgd(self.readout_learning_rate, self.readout_weight_decay, epochs * steps)
        model = keras_ff.FFModel(
            [
                layers.FFDense(
                    self.units,
                    activation=self.activation,
                    goodness="sum_of_squares",
                    auxiliary=[layers.PeerNormalization(peer)] if peer else None,
                    normalization=normalization,
                )
                for _ in range(self.layers)
            ],
            num_classes,
            label_embedding=keras_ff.labels.Overlay(LABEL_STRENGTH),
            layer_schedule="simultaneous",
            readout=readouts.Softmax(optimizer=head),
            **own,
        )
        loss = SymBa(alpha=1.0) if printed_loss else Logistic(threshold=float(self.units))
        optimizer = sgd(self.learning_rate, self.weight_decay, epochs * steps)
        model.compile(optimizer, loss, metrics=metrics())
        return model


EXPERIMENTS = {
    1: Experiment(200, 0.001, 0.0003, 100, "relu_full_grad", 1000, 3, 0.01, 0.003),
    2: Experiment(256, 0.001, 0.001, 200, "relu_full_grad", 512, 5, 0.01, 0.003),
    3: Experiment(256, 0.001, 0.01, 300, "relu_full_grad", 512, 6, 0.01, 0.003),
    4: Experiment(256, 0.001, 0.003, 200, "t_distribution", 1000, 4, 0.01, 0.003),
    5: Experiment(256, 0.001, 0.0003, 400, "relu", 1000, 5, 0.01, 0.003),
    6: Experiment(100, 0.001, 0.0003, 200, "relu", 1000, 7, 0.01, 0.003),
    7: Experiment(100, 0.001, 0.003, 200, "leaky_relu", 1000, 6, 0.01, 0.03),
    8: Experiment(100, 0.001, 0.003, 200, "sigmoid", 1000, 6, 0.01, 0.03),
    9: Experiment(100, 0.01, 0.001, 200, "tanh", 1000, 6, 0.1, 0.01),
    10: Experiment(256, 0.001, 0.003, 300, "relu_full_grad", 1000, 4, 0.01, 0.03),
    11: Experiment(512, 0.0005, 0.003, 200, "t_distribution", 500, 3, 0.01, 0.03),
    12: Experiment(100, 0.001, 0.0003, 100, "relu_full_grad", 1000, 3, 0.01, 0.003),
}


def config(epochs, batch_size, **changed):
    """Its data: 40,000 images to train on and 10,000 to validate, varied in five ways."""
    return TrainingConfig(epochs=epochs, batch_size=batch_size, **{**DATA, **changed})


def cell(row, number, published, epochs=None, text="", values=None, data=None, **changed):
    """A cell of one of its experiments; `changed` are arguments of `Experiment.network`."""
    one = EXPERIMENTS[number]
    full = config(one.epochs, one.batch_size, **(data or {}))
    return Cell(
        row,
        config(epochs or one.epochs, one.batch_size, **(data or {})),
        published,
        published_text=text,
        source_values=values or {},
        network=functools.partial(one.network, **changed),
        as_published=True,
        source_epochs=one.epochs,
        full={"config": full},
        validation_freq=10,
    )


def backpropagation_network(sample_shape, num_classes, epochs, steps, activation="relu"):
    """Three dense layers, without normalisation or dropout.

    What the source had is not said, but that its losses went out of hand under two activations.
    """
    optimizer = sgd(0.01, 0.0003, epochs * steps)
    return plain(sample_shape, (1000,) * 3, num_classes, optimizer, activation)


def convolutional(make, sample_shape, num_classes, epochs, steps, **arguments):
    """A network of `keras_ff.models`, by the rate and decay of its first experiment."""
    del sample_shape
    model = make(num_classes=num_classes, **arguments)
    model.compile(sgd(0.001, 0.0003, epochs * steps), metrics=metrics())
    return model
