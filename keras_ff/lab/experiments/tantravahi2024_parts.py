"""Tantravahi et al. 2024: normalisation, augmentation and the loss, one by one, on CIFAR-10."""

from keras_ff.lab.experiments.networks import tantravahi2024
from keras_ff.lab.experiments.table import Table

EXPERIMENT, EPOCHS = 12, 15
NETWORKS = {
    "as it is": {},
    "no normalisation": {"normalization": None, "peer": 0.0},
    "length alone": {"peer": 0.0},
    "peer alone": {"normalization": None},
    "batch alone": {"normalization": "batch", "peer": 0.0},
    "the printed loss": {"printed_loss": True},
}


def _cells():
    for row, changed in NETWORKS.items():
        yield tantravahi2024.cell(row, EXPERIMENT, None, EPOCHS, **changed)
    still = dict.fromkeys(tantravahi2024.AUGMENTATION)
    still |= {"flip": False, "shift": 0}
    yield tantravahi2024.cell("not augmented", EXPERIMENT, None, EPOCHS, data=still)
    for name, value in tantravahi2024.AUGMENTATION.items():
        data = {**still, name: value}
        yield tantravahi2024.cell(f"{name} alone", EXPERIMENT, None, EPOCHS, data=data)


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="tantravahi2024_parts",
        title="Normalisation, augmentation and loss on CIFAR-10",
        source="Tantravahi, Thota and Katti 2024, sections 3.4 and 4.1.2, which give no values",
        rows="network",
        cells=tuple(_cells()),
        remarks=(
            f"{tantravahi2024.REMARKS} The network is that of experiment {EXPERIMENT}, with one "
            "thing changed in each row. The printed loss is the softmax over a pair of sums of "
            "squares, without a threshold."
        ),
    )
