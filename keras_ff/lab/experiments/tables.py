"""The tables that `keras-ff reproduce` trains, by name."""

from keras_ff.lab.experiments import (
    dooms2023_convolutions,
    dooms2023_ladder,
    hinton2022,
    kesanapalli2023_architectures,
    kesanapalli2023_baseline,
    kesanapalli2023_samples,
    li_chen2023_activations,
    li_chen2023_negatives,
    li_chen2023_skips,
    li_chen2023_thresholds,
    li_chen2023_unsupervised,
    li_chen2023_widths,
    local_learning,
    more_activations,
    sun2025_resnet,
    tantravahi2024_activations,
    tantravahi2024_architectures,
    tantravahi2024_negatives,
    tantravahi2024_parts,
)
from keras_ff.utils import registry
from keras_ff.utils.user_warnings import warn_of_former_name

# Functions, since a table's configurations take reading what datasets are like.
TABLES = {
    "tantravahi2024_activations": tantravahi2024_activations.table,
    "tantravahi2024_negatives": tantravahi2024_negatives.table,
    "tantravahi2024_parts": tantravahi2024_parts.table,
    "tantravahi2024_architectures": tantravahi2024_architectures.table,
    "kesanapalli2023_baseline": kesanapalli2023_baseline.table,
    "kesanapalli2023_samples": kesanapalli2023_samples.table,
    "kesanapalli2023_architectures": kesanapalli2023_architectures.table,
    "dooms2023_ladder": dooms2023_ladder.table,
    "dooms2023_convolutions": dooms2023_convolutions.table,
    "li_chen2023_negatives": li_chen2023_negatives.table,
    "li_chen2023_activations": li_chen2023_activations.table,
    "li_chen2023_widths": li_chen2023_widths.table,
    "li_chen2023_thresholds": li_chen2023_thresholds.table,
    "li_chen2023_skips": li_chen2023_skips.table,
    "li_chen2023_unsupervised": li_chen2023_unsupervised.table,
    "sun2025_resnet": sun2025_resnet.table,
    "hinton2022": hinton2022.table,
    "local_learning": local_learning.table,
    "more_activations": more_activations.table,
}
# What tables were called in earlier versions, until keras_ff 0.3.0.
FORMER_NAMES = {
    "s1_activations": "tantravahi2024_activations",
    "s2_baseline": "kesanapalli2023_baseline",
    "s3_convolutions": "dooms2023_convolutions",
    "s4_activations": "li_chen2023_activations",
    "s4_widths": "li_chen2023_widths",
}


def get(name):
    """A table by its name, or a former one; ValueError if there is none of that name."""
    if name in FORMER_NAMES:
        former, name = name, FORMER_NAMES[name]
        warn_of_former_name(former, name, "0.3.0", UserWarning)
    if name not in TABLES:
        raise ValueError(
            f"There is no table {name!r}. {registry.nearest(name, TABLES)} Received: {name!r}"
        )
    return TABLES[name]()
