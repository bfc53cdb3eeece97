"""Dooms 2023: what each part of the Trifecta adds, layer by layer, on CIFAR-10."""

import functools

from keras_ff.lab.experiments.networks import dooms2023
from keras_ff.lab.experiments.table import Cell, Table

# Test accuracy in percent, and what the network has.
PUBLISHED = {
    "vanilla": (34.3, {"loss": "logistic", "normalization": "length", "pairs": False}),
    "SymBa": (55.7, {"normalization": "length", "pairs": False}),
    "SymBa, pairs": (61.4, {"normalization": "length"}),
    "SymBa, batch normalisation": (64.7, {"pairs": False}),
    "Trifecta": (74.0, {}),
    "local classifiers": (None, {"pairs": False, "proxies": True}),
}


def _cells():
    for row, (published, own) in PUBLISHED.items():
        yield dooms2023.cell(row, published, **own)
    yield dooms2023.cell(
        "Trifecta, 12 layers", 84.3, 500, variant="trifecta_12", falling_rates=True
    )
    yield Cell(
        "six convolutions",
        dooms2023.config(),
        88.9,
        backpropagation=True,
        network=dooms2023.backpropagation_network,
        as_published=True,
        source_epochs=100,
        full={
            "config": dooms2023.config(100, None),
            "network": functools.partial(dooms2023.backpropagation_network, width=1.0),
        },
    )


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="dooms2023_ladder",
        title="The ladder to the Trifecta on CIFAR-10",
        source="Dooms 2023, slides on The Trifecta",
        rows="network",
        cells=tuple(_cells()),
        remarks=(
            f"{dooms2023.REMARKS} The vanilla network was recreated by the source; 59.0 % had been "
            "reported of it. Local classifiers are its baseline, a linear head and a cross-entropy "
            "on every layer, of which it gives no value."
        ),
    )
