"""Networks as others have published them, as presets without weights.

`python -m keras_ff.experiments.published_networks` writes them to the folder `zoo`. The recipes are
those of the sources as far as these tell them; what they leave open has the default of keras_ff.
Trainings that reach more are those of `keras_ff.lab.experiments.mlp_recipes`.
"""

import argparse
import dataclasses
import pathlib

import keras

import keras_ff
from keras_ff import datasets, models
from keras_ff.datasets import DataConfig
from keras_ff.losses import Logistic
from keras_ff.optimizers.learning_rates import ConstantThenLinear
from keras_ff.readouts import Softmax

TANTRAVAHI = "Tantravahi, Thota and Katti 2024"
KESANAPALLI = "Kesanapalli, Rangarajan, Jain and Jain"
DOOMS = "Dooms, Tsang and Oramas 2023"
LI_CHEN = "Li and Chen"


@dataclasses.dataclass(frozen=True)
class Published:
    """A published network; `model` makes it from the number of steps per epoch, not built."""

    model: object
    data: dict
    epochs: int
    architecture: str
    description: str


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A row of table 4.1 of Tantravahi et al."""

    batch_size: int
    learning_rate: float
    weight_decay: float
    epochs: int
    activation: str
    units: int
    layers: int
    readout_learning_rate: float
    readout_weight_decay: float

    def model(self, steps):
        """Sums of squares against the number of units, and a linear head on the later layers."""

        def optimizer(learning_rate, weight_decay):
            rate = ConstantThenLinear(learning_rate, self.epochs * steps)
            return keras.optimizers.SGD(rate, momentum=0.9, weight_decay=weight_decay)

        model = keras_ff.FFModel(
            [
                keras_ff.layers.FFDense(
                    self.units,
                    activation=self.activation,
                    goodness="sum_of_squares",
                    auxiliary=[keras_ff.layers.PeerNormalization(0.03)],
                )
                for _ in range(self.layers)
            ],
            num_classes=10,
            label_embedding="overlay",
            layer_schedule="simultaneous",
            readout=Softmax(
                optimizer=optimizer(self.readout_learning_rate, self.readout_weight_decay)
            ),
        )
        model.compile(
            optimizer(self.learning_rate, self.weight_decay),
            Logistic(threshold=float(self.units)),
            metrics=["accuracy"],
        )
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


# How images are prepared, by dataset.
DATA = {
    "cifar10": {"validation_share": 0.2, "shift": 4, "flip": True},
    "mnist": {"standardize": False},
}


def _tantravahi_convolutional(make, **arguments):
    def model(steps):
        del steps  # its rate is constant
        made = make(**arguments)
        made.compile(
            keras.optimizers.SGD(0.001, momentum=0.9, weight_decay=0.0003), metrics=["accuracy"]
        )
        return made

    return model


def _trifecta(variant):
    def model(steps):
        rate = 0.001
        if variant == "trifecta_12":
            boundaries = [200 * steps, 400 * steps]
            rate = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, [1e-3, 5e-4, 1e-4])
        made = models.vgg(variant)
        made.compile(keras.optimizers.Adam(rate), metrics=["accuracy"])
        return made

    return model


def _kesanapalli(steps):
    del steps  # its rate is constant
    model = keras_ff.FFModel(
        [keras_ff.layers.FFDense(2000) for _ in range(4)],
        num_classes=10,
        label_embedding="overlay",
        layer_schedule="greedy",
    )
    model.compile(keras.optimizers.Adam(0.02), Logistic(threshold=15.0), metrics=["accuracy"])
    return model


def _li_chen(steps):
    del steps  # its rate is constant
    model = keras_ff.FFModel(
        [
            keras_ff.layers.FFDense(
                500, activation="elu", normalization="layer", dropout=0.2, goodness="mean_activity"
            )
            for _ in range(4)
        ],
        num_classes=10,
        label_embedding="overlay",
    )
    model.compile(keras.optimizers.Adam(0.03), Logistic(margin=1.0), metrics=["accuracy"])
    return model


def _published(dataset, architecture, activation, model, batch_size, epochs, description):
    data = {"dataset": dataset, "batch_size": batch_size, **DATA[dataset]}
    name = f"{dataset}_{architecture}_{activation}"
    return name, Published(model, data, epochs, architecture, description)


_VGG19 = _tantravahi_convolutional(models.vgg, variant="vgg19")
_THREE_CONV = _tantravahi_convolutional(models.vgg, variant="three_conv")
_LOCAL = _tantravahi_convolutional(models.local_receptive_field)
_LOCAL_RESIDUAL = _tantravahi_convolutional(models.local_receptive_field, residual=True)
# Dataset, architecture, activation, model, batch size, epochs and description.
_ROWS = (
    *(
        (
            *("cifar10", f"mlp_s1_{number}", one.activation, one.model, one.batch_size, one.epochs),
            f"Experiment {number} of {TANTRAVAHI}, table 4.1.",
        )
        for number, one in EXPERIMENTS.items()
    ),
    (
        *("cifar10", "vgg19", "relu", _VGG19, 256, 200),
        f"The deep convolutional stack of {TANTRAVAHI}.",
    ),
    (
        *("cifar10", "three_conv", "relu", _THREE_CONV, 256, 200),
        f"Three convolutions and two dense layers, after {TANTRAVAHI}.",
    ),
    (
        *("cifar10", "local_receptive_field", "relu", _LOCAL, 256, 200),
        f"The local receptive field network of {TANTRAVAHI}.",
    ),
    (
        *("cifar10", "local_receptive_field_residual", "relu", _LOCAL_RESIDUAL, 256, 200),
        f"The local receptive field network of {TANTRAVAHI} with residual connections.",
    ),
    (
        *("cifar10", "trifecta_6", "relu", _trifecta("trifecta_6"), 512, 100),
        f"The Trifecta, {DOOMS}: 6 layers.",
    ),
    (
        *("cifar10", "trifecta_12", "relu", _trifecta("trifecta_12"), 512, 500),
        f"The Trifecta, {DOOMS}: 12 layers, the best of the thesis behind it.",
    ),
    (
        *("mnist", "mlp_s2", "relu", _kesanapalli, 512, 240),
        f"The Forward-Forward baseline of {KESANAPALLI}: 60 epochs per layer.",
    ),
    (
        *("mnist", "mlp_s4", "elu", _li_chen, 10_000, 2000),
        f"The best network of {LI_CHEN}: ELU, margin 1.",
    ),
)
PUBLISHED = dict(_published(*row) for row in _ROWS)


def write(name, folder, data_dir=None):
    """Write one of `PUBLISHED` into a folder of presets, without weights; returns the preset."""
    published = PUBLISHED[name]
    data = DataConfig.from_dict(published.data)
    info = datasets.info(data.dataset, data_dir=data_dir)
    train, _, _ = data.load(data_dir=data_dir)
    keras.utils.clear_session()  # names of layers begin anew, whatever was made before
    model = published.model(len(train))
    model.build((None, *train.element_spec[0].shape[1:]))
    return keras_ff.zoo.save(
        model,
        pathlib.Path(folder) / name,
        weights=None,
        dataset=data.dataset,
        dataset_version=info.version,
        architecture=published.architecture,
        epochs=published.epochs,
        seed=data.seed,
        data=published.data,
        command=f"keras-ff zoo train {name} --out runs/{name}",
        description=published.description
        + " Load it with `load_weights=False` and train it; it was not trained here.",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=pathlib.Path, default="zoo", metavar="FOLDER")
    parser.add_argument("--data-dir", metavar="FOLDER")
    chosen = parser.parse_args()
    for name in PUBLISHED:
        print(write(name, chosen.to, chosen.data_dir))


if __name__ == "__main__":
    main()
