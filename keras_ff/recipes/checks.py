"""Which configurations cannot be, and which options do nothing in one that can."""

from keras_ff.goodness import ClassGroups
from keras_ff.recipes.defaults import ARCHITECTURES
from keras_ff.recipes.models import (
    HEADS,
    JOINTS,
    MUON,
    RATE_SCHEDULES,
    depth_of,
    free_units_of,
    goodness_of,
    is_unsupervised,
    learning_rates_of,
    takes_negatives_count,
)
from keras_ff.utils import checks, registry


def check(config):
    """Raise ValueError where the options of a `TrainingConfig` contradict each other."""
    if not isinstance(config.units, tuple) or not config.units:
        raise ValueError(
            "`units` must hold the width of each layer, at least one. "
            f"Received: units={config.units!r}"
        )
    for width in config.units:
        checks.whole_number(width, "units")
    for rate in learning_rates_of(config):
        checks.positive_number(rate, "learning_rate")
    if checks.finite_number(config.peer_normalization, "peer_normalization") < 0:
        raise ValueError(
            "`peer_normalization` must be a weight above 0, or 0 for none. "
            f"Received: peer_normalization={config.peer_normalization!r}"
        )
    if config.supervised_contrast is not None:
        checks.positive_number(config.supervised_contrast, "supervised_contrast")
    if config.supervised_contrast_regions is not None:
        checks.whole_number(config.supervised_contrast_regions, "supervised_contrast_regions")
        if config.supervised_contrast is None:
            raise ValueError(
                "Without `supervised_contrast` there is nothing to divide into regions. "
                f"Received: supervised_contrast_regions={config.supervised_contrast_regions}"
            )
    if checks.finite_number(config.weight_decay, "weight_decay") < 0:
        raise ValueError(
            "`weight_decay` must be a share above 0, or 0 for none. "
            f"Received: weight_decay={config.weight_decay!r}"
        )
    if config.clip_norm is not None:
        checks.positive_number(config.clip_norm, "clip_norm")
    if config.similarity_matching is not None:
        checks.positive_number(config.similarity_matching, "similarity_matching")
    if config.optimizer not in (None, MUON):
        raise ValueError(
            f"`optimizer` must be {MUON!r}, or None for Adam. "
            f"Received: optimizer={config.optimizer!r}"
        )
    for name, known in (("architecture", ARCHITECTURES), ("rate_schedule", RATE_SCHEDULES)):
        if getattr(config, name) not in known:
            raise ValueError(
                f"`{name}` must be one of {', '.join(known)}. "
                f"{registry.nearest(getattr(config, name), known)} "
                f"Received: {name}={getattr(config, name)!r}"
            )
    for name in ("supervised_contrast_regions", "classifier_regions"):
        if config.architecture == "mlp" and getattr(config, name) is not None:
            raise ValueError(
                "Activities of architecture='mlp' have no positions to divide into regions. "
                f"Received: {name}={getattr(config, name)}"
            )
    if config.architecture != "mlp" and config.peer_normalization:
        raise ValueError(
            "Peer normalization is here for architecture='mlp' alone. "
            f"Received: architecture={config.architecture!r}, "
            f"peer_normalization={config.peer_normalization}"
        )
    if config.architecture == "resnet" and len(config.units) != 1:
        raise ValueError(
            "Of a 'resnet' `units` is the width of the first layers alone. "
            f"Received: units={config.units}"
        )
    if config.readout_epochs is not None:
        checks.whole_number(config.readout_epochs, "readout_epochs")
        if config.readout not in HEADS:
            raise ValueError(
                f"`readout_epochs` are for a readout that learns: {', '.join(HEADS)}. "
                f"Received: readout={config.readout!r}, readout_epochs={config.readout_epochs}"
            )
        if config.negatives == "hard_labels":
            raise ValueError(
                "Hard labels are drawn by a readout that learns beside the layers: leave "
                "`readout_epochs` out. Received: negatives='hard_labels', "
                f"readout_epochs={config.readout_epochs}"
            )
    checks.share(config.weight_averaging, "weight_averaging")
    _check_class_groups(config)


def _check_class_groups(config):
    """The same for options of networks with one goodness per class."""
    part = goodness_of(config)
    if config.whitening is not None:
        checks.whole_number(config.whitening, "whitening")
        if config.architecture == "mlp":
            raise ValueError(
                "Patches are whitened in front of convolutions, not of architecture='mlp'. "
                f"Received: whitening={config.whitening}"
            )
    if config.readout in JOINTS and not part.per_class:
        raise ValueError(
            "A joint readout reads goodness and activities of one pass, which class groups alone "
            f"give. Received: readout={config.readout!r}, goodness={config.goodness!r}"
        )
    if config.coarse_classes is not None:
        _check_coarse_classes(config, part)
    if config.free_units is not None:
        _check_free_units(config, part)


def _check_coarse_classes(config, part):
    numbers = config.coarse_classes
    for number in numbers:
        checks.whole_number(number, "coarse_classes", minimum=2)
    if sorted(set(numbers)) != list(numbers) or len(numbers) >= depth_of(config):
        raise ValueError(
            "`coarse_classes` must grow from one level to the next, of which there are fewer than "
            f"the {depth_of(config)} layers. Received: coarse_classes={numbers!r}"
        )
    if not part.per_class:
        raise ValueError(
            "Coarse classes are for layers with one goodness per class, 'class_groups' or "
            f"'local_classifier'. Received: coarse_classes={numbers!r}, "
            f"goodness={config.goodness!r}"
        )


def _check_free_units(config, part):
    received = f"Received: free_units={config.free_units!r}"
    if not isinstance(part, ClassGroups):
        raise ValueError(
            "Class groups alone have units that belong to no class. "
            f"{received}, goodness={config.goodness!r}"
        )
    if config.architecture == "resnet":
        raise ValueError(
            "The units of a 'resnet' all belong to class groups, as its skip connections join "
            f"these group by group. {received}"
        )
    for free in free_units_of(config):
        ClassGroups(free=free)  # which says what would be right
    if config.supervised_contrast is None and config.similarity_matching is None:
        raise ValueError(
            "Units that belong to no class learn by `supervised_contrast` and "
            f"`similarity_matching` alone: give one of them a weight. {received}"
        )


def idle(config):
    """The options of a `TrainingConfig` that do nothing in it: why, by their names."""
    found = {}
    if config.architecture != "mlp":
        found["peer_normalization"] = "Peer normalization is for dense layers"
    if goodness_of(config).per_class:
        for name in ("negatives", "negatives_count", "label_embedding", "label_strength"):
            found[name] = "Class groups learn without negatives and without labels in the input"
        return found
    if is_unsupervised(config):
        for name in ("label_embedding", "label_strength"):
            found[name] = "A network that learns without labels has none in its input"
    if not takes_negatives_count(config):
        found["negatives_count"] = f"The negatives {config.negatives!r} have no count"
    return found


def refuse_idle(config, chosen):
    """Raise ValueError where one of the options `chosen`, a dictionary, does nothing."""
    for name, reason in idle(config).items():
        if name in chosen:
            raise ValueError(f"{reason}: leave `{name}` out. Received: {name}={chosen[name]!r}")
