"""Networks as others have published them, as presets without weights.

`python -m keras_ff.experiments.published_networks` writes them to the folder `zoo`. The recipes are
those of the sources as far as these tell them; what they leave open has the default of keras_ff.
What they reach stands in `RESULTS.md`. Trainings that reach more are those of
`keras_ff.lab.experiments.mlp_recipes`.
"""

import argparse
import dataclasses
import functools
import pathlib

import keras

import keras_ff
from keras_ff import datasets, models
from keras_ff.datasets import DataConfig
from keras_ff.lab.experiments import cells, results_page, tables
from keras_ff.lab.experiments.networks import (
    dooms2023,
    kesanapalli2023,
    li_chen2023,
    tantravahi2024,
)

TANTRAVAHI = "Tantravahi, Thota and Katti 2024"
KESANAPALLI = "Kesanapalli, Rangarajan, Jain and Jain 2023"
DOOMS = "Dooms 2023, slides on The Trifecta"
LI_CHEN = "Li and Chen 2023"


@dataclasses.dataclass(frozen=True)
class Published:
    """A published network.

    Args:
        network: a function as for `Cell.network`.
        data: dictionary, options of `DataConfig`.
        epochs: integer, those of the source.
        architecture, description: strings, for the preset's card.
        table, cell: strings, where it is trained: names of a table and of one of its cells.
    """

    network: object
    data: dict
    epochs: int
    architecture: str
    description: str
    table: str
    cell: str


def _convolutional(make, **arguments):
    return functools.partial(tantravahi2024.convolutional, make, **arguments)


_CIFAR = {"batch_size": 256, **tantravahi2024.DATA}
_TRIFECTA = {"dataset": "cifar10", **dooms2023.DATA}
_LOCAL = models.local_receptive_field
_ARCHITECTURES = "tantravahi2024_architectures"
PUBLISHED = {
    **{
        f"cifar10_mlp_s1_{number}_{one.activation}": Published(
            one.network,
            {**tantravahi2024.DATA, "batch_size": one.batch_size},
            one.epochs,
            f"mlp_s1_{number}",
            f"Experiment {number} of {TANTRAVAHI}, table 4.1. {tantravahi2024.REMARKS}",
            "tantravahi2024_activations",
            f"{one.activation}, experiment {number}",
        )
        for number, one in tantravahi2024.EXPERIMENTS.items()
    },
    "cifar10_vgg19_relu": Published(
        _convolutional(models.vgg, variant="vgg19"),
        _CIFAR,
        200,
        "vgg19",
        f"The deep convolutional stack of {TANTRAVAHI}. {tantravahi2024.CONVOLUTIONS}",
        _ARCHITECTURES,
        "VGG-19",
    ),
    "cifar10_three_conv_relu": Published(
        _convolutional(models.vgg, variant="three_conv"),
        _CIFAR,
        200,
        "three_conv",
        f"Three convolutions and two dense layers, after {TANTRAVAHI}. "
        f"{tantravahi2024.CONVOLUTIONS}",
        _ARCHITECTURES,
        "three convolutions",
    ),
    "cifar10_local_receptive_field_relu": Published(
        _convolutional(_LOCAL),
        _CIFAR,
        200,
        "local_receptive_field",
        f"The local receptive field network of {TANTRAVAHI}. {tantravahi2024.CONVOLUTIONS}",
        _ARCHITECTURES,
        "local receptive fields",
    ),
    "cifar10_local_receptive_field_residual_relu": Published(
        _convolutional(_LOCAL, residual=True),
        _CIFAR,
        200,
        "local_receptive_field_residual",
        f"The local receptive field network of {TANTRAVAHI} with residual connections. "
        f"{tantravahi2024.CONVOLUTIONS}",
        _ARCHITECTURES,
        "local receptive fields, residual",
    ),
    "cifar10_trifecta_6_relu": Published(
        functools.partial(dooms2023.network, width=1.0),
        _TRIFECTA,
        100,
        "trifecta_6",
        f"The Trifecta, {DOOMS}: 6 layers.",
        "dooms2023_ladder",
        "Trifecta",
    ),
    "cifar10_trifecta_12_relu": Published(
        functools.partial(dooms2023.network, variant="trifecta_12", width=1.0, falling_rates=True),
        _TRIFECTA,
        500,
        "trifecta_12",
        f"The Trifecta, {DOOMS}: 12 layers, its longest training.",
        "dooms2023_ladder",
        "Trifecta, 12 layers",
    ),
    "mnist_mlp_s2_relu": Published(
        functools.partial(kesanapalli2023.network, "mnist"),
        {"dataset": "mnist", "batch_size": 512, "validation_share": 1 / 30},
        kesanapalli2023.LAYERS * kesanapalli2023.EPOCHS_PER_LAYER,
        "mlp_s2",
        f"The Forward-Forward baseline of {KESANAPALLI}: 60 epochs per layer. "
        f"{kesanapalli2023.REMARKS}",
        "kesanapalli2023_baseline",
        "mnist",
    ),
    "mnist_mlp_s4_elu": Published(
        li_chen2023.network,
        {
            "dataset": "mnist",
            "batch_size": li_chen2023.BATCH_SIZE,
            "validation_share": li_chen2023.VALIDATION_SHARE,
        },
        li_chen2023.EPOCHS,
        "mlp_s4",
        f"The best network of {LI_CHEN}: ELU, threshold 10, margin 1. {li_chen2023.REMARKS}",
        "li_chen2023_negatives",
        "random labels, margin 1",
    ),
}


def is_of(published, cell):
    """Whether a cell of its table trains a published network."""
    of_source = cell.as_published and not cell.backpropagation
    return of_source and cell.row == published.cell


def reached(published, results=cells.RESULTS):
    """A sentence on what a published network came to here, empty where it was not trained."""
    found = next(
        one
        for one in results_page.reproductions(tables.get(published.table), results)
        if is_of(published, one.cell)
    )
    if not found.runs:
        return ""
    row, run = found.row("row"), found.runs[0]
    return (
        f"Trained again for {row['epochs']} epochs on {row['images']} images, with "
        f"{run['parameters']:,} weights, it came to {row['test']} % of test samples, which "
        "RESULTS.md shows beside the source's value. "
    )


def write(name, folder, data_dir=None, results=cells.RESULTS):
    """Write one of `PUBLISHED` into a folder of presets, without weights; returns the preset.

    Its card says what the cell of `results` came to, where it was trained.
    """
    published = PUBLISHED[name]
    data = DataConfig.from_dict(published.data)
    info = datasets.info(data.dataset, data_dir=data_dir)
    train, _, _ = data.load(data_dir=data_dir)
    keras.utils.clear_session()  # names of layers begin anew, whatever was made before
    sample_shape = train.element_spec[0].shape[1:]
    model = published.network(tuple(sample_shape), info.num_classes, published.epochs, len(train))
    model.build((None, *sample_shape))
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
        description=f"{published.description} {reached(published, results)}"
        "Load it with `load_weights=False` to train it.",
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
