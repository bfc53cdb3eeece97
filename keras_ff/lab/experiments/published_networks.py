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


def _cifar10(batch_size, shift=4):
    return {
        "dataset": "cifar10",
        "batch_size": batch_size,
        "validation_share": 0.2,
        "shift": shift,
        "flip": True,
    }


def _mnist(batch_size):
    return {"dataset": "mnist", "batch_size": batch_size, "standardize": False}


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


PUBLISHED = {
    **{
        f"cifar10_mlp_s1_{number}_{one.activation}": Published(
            one.model,
            _cifar10(one.batch_size),
            one.epochs,
            f"mlp_s1_{number}",
            f"Experiment {number} of {TANTRAVAHI}, table 4.1.",
        )
        for number, one in EXPERIMENTS.items()
    },
    "cifar10_vgg19_relu": Published(
        _tantravahi_convolutional(models.vgg, variant="vgg19"),
        _cifar10(256),
        200,
        "vgg19",
        f"The deep convolutional stack of {TANTRAVAHI}.",
    ),
    "cifar10_three_conv_relu": Published(
        _tantravahi_convolutional(models.vgg, variant="three_conv"),
        _cifar10(256),
        200,
        "three_conv",
        f"Three convolutions and two dense layers, after {TANTRAVAHI}.",
    ),
    "cifar10_local_receptive_field_relu": Published(
        _tantravahi_convolutional(models.local_receptive_field),
        _cifar10(256),
        200,
        "local_receptive_field",
        f"The local receptive field network of {TANTRAVAHI}.",
    ),
    "cifar10_local_receptive_field_residual_relu": Published(
        _tantravahi_convolutional(models.local_receptive_field, residual=True),
        _cifar10(256),
        200,
        "local_receptive_field_residual",
        f"The local receptive field network of {TANTRAVAHI} with residual connections.",
    ),
    "cifar10_trifecta_6_relu": Published(
        _trifecta("trifecta_6"),
        _cifar10(512),
        100,
        "trifecta_6",
        f"The Trifecta, {DOOMS}: 6 layers.",
    ),
    "cifar10_trifecta_12_relu": Published(
        _trifecta("trifecta_12"),
        _cifar10(512),
        500,
        "trifecta_12",
        f"The Trifecta, {DOOMS}: 12 layers, the best of the thesis behind it.",
    ),
    "mnist_mlp_s2_relu": Published(
        _kesanapalli,
        _mnist(512),
        240,
        "mlp_s2",
        f"The Forward-Forward baseline of {KESANAPALLI}: 60 epochs per layer.",
    ),
    "mnist_mlp_s4_elu": Published(
        _li_chen, _mnist(10_000), 2000, "mlp_s4", f"The best network of {LI_CHEN}: ELU, margin 1."
    ),
}


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
