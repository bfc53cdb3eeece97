"""Tantravahi et al. 2024, section 3.1.2: ways to make negatives, on CIFAR-10."""

import functools

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.networks import other_parts, tantravahi2024
from keras_ff.lab.experiments.table import Cell, Table
from keras_ff.negatives import Adversarial, HardLabels, Perturbation
from keras_ff.readouts import Softmax

# Functions, since a source of negatives has a state.
NEGATIVES = {
    "wrong labels": None,
    "noise": lambda: Perturbation(noise=0.3, occlusion=0.0, wrong_labels=True),
    "occlusion": lambda: Perturbation(noise=0.0, occlusion=0.2, wrong_labels=True),
    "adversarial": Adversarial,
    "hard labels": HardLabels,
}
EXPERIMENT, EPOCHS = 12, 15


def _ours(make, *made_for):
    """Our network with other negatives, which a softmax draws where they must be hard."""
    parts = {"negatives": make()}
    if make is HardLabels:
        parts["readout"] = Softmax(optimizer="adam")
    return other_parts(mlp_recipes.contrastive("cifar10"), *made_for, **parts)


def _cells():
    for row, make in NEGATIVES.items():
        # Its own linear head draws hard labels.
        yield tantravahi2024.cell(row, EXPERIMENT, None, EPOCHS, make_negatives=make)
        own = {} if make is None else {"network": functools.partial(_ours, make)}
        yield Cell(row, mlp_recipes.contrastive("cifar10"), None, **own)


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="tantravahi2024_negatives",
        title="Negatives on CIFAR-10",
        source="Tantravahi, Thota and Katti 2024, section 3.1.2, which gives no values",
        rows="negatives",
        cells=tuple(_cells()),
        remarks=(
            f"{tantravahi2024.REMARKS} The network is that of experiment {EXPERIMENT}. Noise has "
            "0.3 times the root mean square of an image, occlusion covers a fifth of it, and "
            "adversarial images are moved up the first layer's goodness; all of them carry a wrong "
            "label as well, without which goodness would not depend on the label. Hard labels are "
            "drawn from the linear head's probabilities, which scores in that row of ours too. "
            "Ours have three negatives per sample in the first row and one in the others."
        ),
    )
