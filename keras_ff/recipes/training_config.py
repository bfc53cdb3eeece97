"""Recipes: what a training run depends on, and what suits each dataset."""

import dataclasses
import math
import shlex

from keras_ff import datasets, goodness
from keras_ff.recipes.models import (
    BEST_LAYERS,
    HEADS,
    LOSS_PARAMETERS,
    RATE_SCHEDULES,
    goodness_of,
    head_of,
    learning_rates_of,
    loss_of,
    model_of,
)
from keras_ff.utils import checks, registry
from keras_ff.version import __version__

# What to train with where nothing else is asked for, by dataset. Datasets that are not listed
# take the defaults of `TrainingConfig`.
DEFAULTS = {
    "digits": {
        "units": (300, 300, 300),
        "layer_schedule": "simultaneous",
        "epochs": 30,
        "batch_size": 64,
        "learning_rate": 3e-3,
    },
    "mnist": {
        "units": (500, 500, 500),
        "negatives_count": 9,
        "alpha": 32.0,
        "label_strength": 0.05,
        "standardize": False,
        "shift": 1,
        "layer_schedule": "simultaneous",
        "epochs": 12,
        "batch_size": 128,
        "learning_rate": 2e-3,
        "dtype_policy": "mixed_bfloat16",
    },
}


# What suits an architecture, whatever the dataset.
_CLASS_GROUP_CONVOLUTIONS = {
    "goodness": "class_groups",
    "normalization": "class_groups",
    "loss": "sparse_categorical_crossentropy",
    "alpha": None,
    "layer_schedule": "simultaneous",
    "readout": BEST_LAYERS,
    "epochs": 20,
    "batch_size": 128,
    "learning_rate": 0.01,
    "rate_schedule": "cosine",
    "weight_decay": 5e-4,
    "clip_norm": 1.0,
    "dtype_policy": "mixed_bfloat16",
}
ARCHITECTURES = {
    "mlp": {},
    "cnn": {"units": (40, 80, 80, 160, 160), **_CLASS_GROUP_CONVOLUTIONS},
    "resnet": {"units": (20,), "dropout": 0.2, **_CLASS_GROUP_CONVOLUTIONS},
}

# Options that vary training images, with the values by which images stay as they are.
VARIATIONS = {
    "shift": 0,
    "rotate": None,
    "flip": False,
    "crop": None,
    "colors": None,
    "erase": None,
}


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """All that a training run depends on: two runs of one configuration end with equal figures.

    `TrainingConfig.for_dataset` starts from what suits a dataset.

    Args:
        dataset: string, a name for `keras_ff.datasets.load`.
        architecture: string: `"mlp"`, dense layers; `"cnn"`, convolutions of 3 × 3, with average
            pooling where layers grow wider; or `"resnet"`, the seventeen convolutions of
            `keras_ff.models.architectures.resnet`.
        units: tuple of integers, the width of each layer, first to last: units, or channels. Of
            a `"resnet"` the width of the first layers alone.
        activation: string, a name for `keras_ff.activations.get`.
        goodness, loss, negatives, label_embedding, layer_schedule, readout: strings, names for the
            modules of keras_ff that they are called after. The readout `"best_layers"` is the
            goodness of the layers that do best on validation data, `"mirrored_best_layers"` that
            of their mirror images added. `"softmax_of_averages"` is a linear head on all layers,
            which sees each channel's average over an image, standardised; with `shift` also those
            of the image moved by a pixel, and with `flip` those of all mirror images.
        readout_epochs: integer, epochs in which a softmax readout learns after the layers, which
            then stay as they are; or `None`: it learns beside them.
        goodness_scale: float above 0 that multiplies the goodness, or `None` for the goodness's
            default. Thresholds, margins and alpha are meant for the scaled goodness.
        alpha, threshold, margin: parameters of the loss, for those losses that have them;
            `None` stands for the loss's default.
        negatives_count: integer, negatives a sample.
        label_strength: float, energy of the label as a share of the sample's.
        normalization: string, a name for `FFLayer`.
        dropout: float in [0, 1).
        peer_normalization: float, weight of peer normalisation; 0 for none.
        supervised_contrast: float above 0, weight of `keras_ff.losses.SupCon` in every layer's
            loss, whose head makes a layer's gradient pass two matrices; or `None`.
        supervised_contrast_regions: integer, into how many regions a side that head divides
            images, or `None` for `SupCon`'s default.
        epochs: integer, epochs in all.
        batch_size: integer.
        learning_rate: float, or a tuple with one a layer: Adam's rate at the beginning.
        rate_schedule: string: `"constant_then_linear"`, for the first half of a layer's steps,
            from where on the rate falls linearly to 0; or `"cosine"`, which falls to a hundredth.
        weight_decay: float of at least 0, share of the weights taken off in each step, times the
            learning rate (AdamW); 0 for none.
        clip_norm: float above 0 at which the length of a layer's gradient is cut off, or `None`.
        weight_averaging: float in [0, 1), momentum of a moving average of the weights which takes
            their place in validation and at the end; 0 for none.
        validation_share: float in [0, 1), share of the training samples kept for validation.
        standardize: boolean. Whether channels are standardised.
        shift: integer, pixels by which training images are shifted at most; the pixels at the
            edge are repeated.
        rotate: float from 0 to 180, degrees by which training images are turned at most, or
            `None`.
        flip: boolean. Whether training images are mirrored at random.
        crop: float in (0, 1], the least share of its area that a training image is cropped to, or
            `None`.
        colors: float in [0, 1) by which brightness, contrast, saturation and hue of training images
            change at most, as `keras_ff.datasets.load` says, or `None`.
        erase: integer, side in pixels of a square at a random place of each training image that
            gets the image's mean colour, or `None`.
        image_size: tuple (height, width) to resize images to, or `None`.
        dtype_policy: string, a Keras dtype policy.
        seed: integer: of the split, the order of samples, the weights and the negatives.

    Raises:
        ValueError: if a name is unknown, a value is out of its range or a parameter is not one of
            the loss.

    Example:

    >>> TrainingConfig(units=[500, 300], loss="logistic").threshold
    'auto'
    """

    dataset: str = datasets.digits.NAME
    architecture: str = "mlp"
    units: tuple = (500, 500, 500)
    activation: str = "relu"
    goodness: str = "mean_of_squares"
    goodness_scale: float | None = None
    loss: str = "label_softmax"
    alpha: float | str | None = None
    threshold: float | str | tuple | None = None
    margin: float | tuple | None = None
    negatives: str = "random_labels"
    negatives_count: int = 5
    label_embedding: str = "append"
    label_strength: float = 0.1
    normalization: str = "length"
    dropout: float = 0.0
    peer_normalization: float = 0.0
    supervised_contrast: float | None = None
    supervised_contrast_regions: int | None = None
    layer_schedule: str = "greedy"
    readout: str = "goodness"
    readout_epochs: int | None = None
    epochs: int = 30
    batch_size: int = 128
    learning_rate: float | tuple = 1e-3
    rate_schedule: str = "constant_then_linear"
    weight_decay: float = 0.0
    clip_norm: float | None = None
    weight_averaging: float = 0.0
    validation_share: float = 1 / 6
    standardize: bool = True
    shift: int = 0
    rotate: float | None = None
    flip: bool = False
    crop: float | None = None
    colors: float | None = None
    erase: int | None = None
    image_size: tuple | None = None
    dtype_policy: str = "float32"
    seed: int = 0

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if not isinstance(self.units, tuple) or not self.units:
            raise ValueError(
                "`units` must hold the width of each layer, at least one. "
                f"Received: units={self.units!r}"
            )
        for width in self.units:
            checks.whole_number(width, "units")
        checks.whole_number(self.epochs, "epochs")
        checks.whole_number(self.batch_size, "batch_size")
        checks.whole_number(self.seed, "seed", minimum=0)
        for rate in learning_rates_of(self):
            checks.positive_number(rate, "learning_rate")
        if checks.finite_number(self.peer_normalization, "peer_normalization") < 0:
            raise ValueError(
                "`peer_normalization` must be a weight above 0, or 0 for none. "
                f"Received: peer_normalization={self.peer_normalization!r}"
            )
        if self.supervised_contrast is not None:
            checks.positive_number(self.supervised_contrast, "supervised_contrast")
        if self.supervised_contrast_regions is not None:
            checks.whole_number(self.supervised_contrast_regions, "supervised_contrast_regions")
            if self.supervised_contrast is None:
                raise ValueError(
                    "Without `supervised_contrast` there is nothing to divide into regions. "
                    f"Received: supervised_contrast_regions={self.supervised_contrast_regions}"
                )
        if checks.finite_number(self.weight_decay, "weight_decay") < 0:
            raise ValueError(
                "`weight_decay` must be a share above 0, or 0 for none. "
                f"Received: weight_decay={self.weight_decay!r}"
            )
        if self.clip_norm is not None:
            checks.positive_number(self.clip_norm, "clip_norm")
        for name, known in (("architecture", ARCHITECTURES), ("rate_schedule", RATE_SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(known)}. "
                    f"{registry.nearest(getattr(self, name), known)} "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        if self.architecture == "mlp" and self.supervised_contrast_regions is not None:
            raise ValueError(
                "Activities of architecture='mlp' have no positions to divide into regions. "
                f"Received: supervised_contrast_regions={self.supervised_contrast_regions}"
            )
        if self.architecture != "mlp" and self.peer_normalization:
            raise ValueError(
                "Peer normalization is here for architecture='mlp' alone. "
                f"Received: architecture={self.architecture!r}, "
                f"peer_normalization={self.peer_normalization}"
            )
        if self.architecture == "resnet" and len(self.units) != 1:
            raise ValueError(
                "Of a 'resnet' `units` is the width of the first layers alone. "
                f"Received: units={self.units}"
            )
        if self.readout_epochs is not None:
            checks.whole_number(self.readout_epochs, "readout_epochs")
            if self.readout not in HEADS:
                raise ValueError(
                    f"`readout_epochs` are for a readout that learns: {' or '.join(HEADS)}. "
                    f"Received: readout={self.readout!r}, readout_epochs={self.readout_epochs}"
                )
            if self.negatives == "hard_labels":
                raise ValueError(
                    "Hard labels are drawn by a readout that learns beside the layers: leave "
                    "`readout_epochs` out. Received: negatives='hard_labels', "
                    f"readout_epochs={self.readout_epochs}"
                )
        goodness_of(self)
        checks.share(self.weight_averaging, "weight_averaging")
        # Parameters of the loss are written out, so that a configuration says all.
        for name, value in loss_of(self).get_config().items():
            if name in LOSS_PARAMETERS:
                object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)

    @classmethod
    def for_dataset(
        cls,
        dataset=datasets.digits.NAME,
        layers=None,
        data_dir=None,
        num_classes=None,
        **chosen,
    ):
        """A configuration that suits a dataset, apart from what is chosen.

        Args:
            dataset: string, a name for `keras_ff.datasets.load`. Defaults to `"digits"`.
            layers: integer, number of layers. Defaults to `None`: as `units` or the dataset say.
            data_dir: folder of the prepared datasets, as for `keras_ff.datasets.info`.
            num_classes: integer, where the dataset is not to be asked for it. Defaults to `None`.
            **chosen: arguments of `TrainingConfig`; `units` may be one integer for all layers. A
                threshold or a margin without a loss implies the logistic loss, class groups the
            cross-entropy.

        Returns:
            A `TrainingConfig`.

        Raises:
            ValueError: as for `TrainingConfig`, or if the dataset is unknown or `layers` and
                `units` contradict each other.
        """
        if num_classes is None:
            num_classes = datasets.info(dataset, data_dir=data_dir).num_classes
        fallback = {field.name: field.default for field in dataclasses.fields(cls)}
        known = DEFAULTS.get(dataset.partition(":")[0], {})
        own = ARCHITECTURES.get(chosen.get("architecture"), {})
        recipe = {**fallback, **known, "dataset": dataset, **own}
        recipe["negatives_count"] = min(recipe["negatives_count"], num_classes - 1)
        recipe["units"] = widths(chosen.pop("units", None), layers, recipe["units"])
        if not {"threshold", "margin"}.isdisjoint(chosen):
            chosen.setdefault("loss", "logistic")
        if goodness.get(chosen.get("goodness", recipe["goodness"])).per_class:
            chosen.setdefault("loss", "sparse_categorical_crossentropy")
        # The steepness of a loss suits that loss and the goodness it is measured on.
        if any(chosen.get(name, recipe[name]) != recipe[name] for name in ("loss", "goodness")):
            recipe["alpha"] = None
        unknown = [name for name in chosen if name not in recipe]
        if unknown:
            raise ValueError(
                f"A training has no option {unknown[0]!r}. {registry.nearest(unknown[0], recipe)} "
                f"Received: {unknown[0]}={chosen[unknown[0]]!r}"
            )
        return cls(**{**recipe, **chosen})

    @classmethod
    def from_dict(cls, config):
        """The configuration that `to_dict` gave, or a ValueError where it is of another kind."""
        try:
            return cls(**config)
        except TypeError as error:
            raise ValueError(
                f"This is not the configuration of a training of keras_ff {__version__} "
                f"({error}). Received: {config!r}"
            ) from error

    def to_dict(self):
        """The configuration as JSON holds it."""
        return for_json(dataclasses.asdict(self))

    def command(self):
        """The command that trains by this configuration, every option written out."""
        words = ["keras-ff", "train"]
        for name, value in self.to_dict().items():
            option = "--" + name.replace("_", "-")
            if isinstance(value, bool):
                words.append(option if value else option.replace("--", "--no-", 1))
            elif value is not None:
                words += [option, plainly(value)]
        return shlex.join(words)

    def load_data(self, initial_epoch=0, data_dir=None):
        """Training, validation and test pipelines, the first one from epoch `initial_epoch` on."""
        return datasets.load(
            self.dataset,
            self.batch_size,
            validation_share=self.validation_share,
            seed=self.seed,
            standardize=self.standardize,
            augment={name: value for name in VARIATIONS if (value := getattr(self, name))},
            image_size=self.image_size,
            data_dir=data_dir,
            initial_epoch=initial_epoch,
        )

    def new_model(self, image_shape, num_classes, steps_per_epoch):
        """An `FFModel`, built and compiled under the dtype policy. Seeds are for the caller to set.

        With `readout_epochs` it scores by goodness, until it gets the readout of `new_head`.

        Args:
            image_shape: tuple, shape of a sample.
            num_classes: integer.
            steps_per_epoch: integer, batches an epoch: the learning rates fall by them.
        """
        return model_of(self, image_shape, num_classes, steps_per_epoch)

    def new_head(self, steps_per_epoch):
        """The softmax readout that is to learn after the layers, for `readout_epochs`.

        Args:
            steps_per_epoch: integer, batches an epoch: the learning rate falls by them.
        """
        return head_of(self, steps_per_epoch)


def widths(units, layers, default):
    """The width of each layer, as a tuple.

    Args:
        units: `None`, an integer for all layers, or a list with one integer a layer.
        layers: `None` or the number of layers.
        default: tuple, the widths where neither says anything.

    Raises:
        ValueError: if a list of units has not one entry a layer.
    """
    if layers is not None:
        checks.whole_number(layers, "layers")
    if units is None:
        return default if layers in (None, len(default)) else (default[0],) * layers
    if isinstance(units, int):
        return (units,) * (layers or len(default))
    if layers not in (None, len(units)):
        raise ValueError(
            f"`units` must be one number or one for each of the {layers} layers. "
            f"Received: layers={layers}, units={','.join(map(str, units))}"
        )
    return tuple(units)


def plainly(value):
    """A value as it is written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def for_json(content):
    """`content` with lists for tuples and None for what JSON has no number for."""
    if isinstance(content, dict):
        return {name: for_json(value) for name, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [for_json(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
