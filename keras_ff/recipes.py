"""Recipes: what a training run depends on, and what suits each dataset."""

import contextlib
import dataclasses
import functools
import itertools
import math
import shlex

import keras

from keras_ff import (
    datasets,
    goodness,
    labels,
    layer_schedules,
    layers,
    losses,
    negatives,
    parts,
    readouts,
)
from keras_ff.layer_optimizers import OptimizerTemplate
from keras_ff.learning_rates import ConstantThenLinear
from keras_ff.models import FFModel
from keras_ff.models.ready import convolutions
from keras_ff.models.resnet import LAYERS as RESNET_LAYERS, resnet_layers
from keras_ff.version import __version__

BEST_LAYERS = "best_layers"
LOSS_PARAMETERS = ("alpha", "threshold", "margin")

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
RATE_SCHEDULES = {
    "constant_then_linear": ConstantThenLinear,
    "cosine": functools.partial(keras.optimizers.schedules.CosineDecay, alpha=0.01),
}


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """All that a training run depends on: two runs of one configuration end with equal figures.

    `TrainingConfig.for_dataset` starts from what suits a dataset.

    Args:
        dataset: string, a name for `keras_ff.datasets.load`.
        architecture: string: `"mlp"`, dense layers; `"cnn"`, convolutions of 3 × 3, with average
            pooling where layers grow wider; or `"resnet"`, the seventeen convolutions of
            `keras_ff.models.resnet`.
        units: tuple of integers, the width of each layer, first to last: units, or channels. Of
            a `"resnet"` the width of the first layers alone.
        activation: string, a name for `keras_ff.activations.get`.
        goodness, loss, negatives, label_embedding, layer_schedule, readout: strings, names for the
            modules of keras_ff that they are called after. The readout `"best_layers"` is the
            goodness of the layers that do best on validation data.
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
            parts.whole_number(width, "units")
        parts.whole_number(self.epochs, "epochs")
        parts.whole_number(self.batch_size, "batch_size")
        parts.whole_number(self.seed, "seed", minimum=0)
        for rate in self._learning_rates():
            parts.positive_number(rate, "learning_rate")
        if parts.finite_number(self.peer_normalization, "peer_normalization") < 0:
            raise ValueError(
                "`peer_normalization` must be a weight above 0, or 0 for none. "
                f"Received: peer_normalization={self.peer_normalization!r}"
            )
        if self.supervised_contrast is not None:
            parts.positive_number(self.supervised_contrast, "supervised_contrast")
        if self.supervised_contrast_regions is not None:
            parts.whole_number(self.supervised_contrast_regions, "supervised_contrast_regions")
            if self.supervised_contrast is None:
                raise ValueError(
                    "Without `supervised_contrast` there is nothing to divide into regions. "
                    f"Received: supervised_contrast_regions={self.supervised_contrast_regions}"
                )
        if parts.finite_number(self.weight_decay, "weight_decay") < 0:
            raise ValueError(
                "`weight_decay` must be a share above 0, or 0 for none. "
                f"Received: weight_decay={self.weight_decay!r}"
            )
        if self.clip_norm is not None:
            parts.positive_number(self.clip_norm, "clip_norm")
        for name, known in (("architecture", ARCHITECTURES), ("rate_schedule", RATE_SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(known)}. "
                    f"{parts.nearest(getattr(self, name), known)} "
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
        self._goodness()
        parts.share(self.weight_averaging, "weight_averaging")
        # Parameters of the loss are written out, so that a configuration says all.
        for name, value in self._loss().get_config().items():
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
                f"A training has no option {unknown[0]!r}. {parts.nearest(unknown[0], recipe)} "
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
            augment={"shift": self.shift, "rotate": self.rotate or 0, "flip": self.flip},
            image_size=self.image_size,
            data_dir=data_dir,
            initial_epoch=initial_epoch,
        )

    def new_model(self, image_shape, num_classes, steps_per_epoch):
        """An `FFModel`, built and compiled under the dtype policy. Seeds are for the caller to set.

        Args:
            image_shape: tuple, shape of a sample.
            num_classes: integer.
            steps_per_epoch: integer, batches an epoch: the learning rates fall by them.
        """
        with _dtype_policy(self.dtype_policy):
            return self._new_model(image_shape, num_classes, steps_per_epoch)

    def _new_model(self, image_shape, num_classes, steps_per_epoch):
        class_groups = self._goodness().per_class
        model = FFModel(
            self._layers(),
            num_classes=num_classes,
            # Class groups have neither labels in their input nor negatives.
            label_embedding=None if class_groups else self._label_embedding(),
            negatives=None if class_groups else self._negatives(),
            layer_schedule=layer_schedules.get(self.layer_schedule),
            readout=self._readout(),
        )
        depth = self._depth()
        rates = self._learning_rates()
        turns = [
            model.layer_schedule.learning_layers(epoch, self.epochs, depth)
            for epoch in range(self.epochs)
        ]
        for index, layer in enumerate(model.ff_layers):
            steps = sum(index in turn for turn in turns) * steps_per_epoch
            layer.own_optimizer = OptimizerTemplate(self._optimizer(rates[index], steps))
        model.compile(
            optimizer=self._optimizer(rates[-1], self.epochs * steps_per_epoch),
            loss=self._loss(),
            metrics=["accuracy"],
        )
        model.build((None, *image_shape))
        return model

    def _layers(self):
        """The layers of the model, without optimizers."""
        common = {
            "activation": self.activation,
            # A goodness may have weights, of which each layer makes its own.
            "goodness": keras.saving.serialize_keras_object(self._goodness()),
            "normalization": self.normalization,
            "dropout": self.dropout,
            "auxiliary": self._auxiliary(),
        }
        if self.architecture == "mlp":
            return [layers.FFDense(width, **common) for width in self.units]
        if self.architecture == "resnet":
            return resnet_layers(self.units[0], **common)
        blocks = [[self.units[0]]]
        for before, width in itertools.pairwise(self.units):
            if width > before:
                blocks.append([])
            blocks[-1].append(width)
        pooling = keras.layers.AveragePooling2D
        return convolutions(blocks, pooling, kernel_initializer="he_normal", **common)

    def _goodness(self):
        part = goodness.get(self.goodness)
        if self.goodness_scale is None:
            return part
        if "scale" not in part.get_config():
            raise ValueError(
                f"The goodness {self.goodness!r} has no scale. "
                f"Received: goodness_scale={self.goodness_scale!r}"
            )
        return _with(part, scale=self.goodness_scale)

    def _auxiliary(self):
        """Terms of a layer's loss besides that on goodness, of which each layer makes its own."""
        terms = []
        if self.peer_normalization:
            terms.append(layers.PeerNormalization(self.peer_normalization))
        if self.supervised_contrast is not None:
            regions = self.supervised_contrast_regions or 1
            terms.append(losses.SupCon(weight=self.supervised_contrast, regions=regions))
        return [keras.saving.serialize_keras_object(term) for term in terms]

    def _depth(self):
        return RESNET_LAYERS if self.architecture == "resnet" else len(self.units)

    def _learning_rates(self):
        """One a layer."""
        depth = self._depth()
        if not isinstance(self.learning_rate, tuple):
            return (self.learning_rate,) * depth
        if len(self.learning_rate) != depth:
            raise ValueError(
                f"`learning_rate` must be one number or one for each of the {depth} "
                f"layers. Received: learning_rate={self.learning_rate!r}"
            )
        return self.learning_rate

    def _optimizer(self, learning_rate, total_steps):
        arguments = {"clipnorm": self.clip_norm}
        if self.weight_averaging:
            arguments |= {"use_ema": True, "ema_momentum": self.weight_averaging}
        # A layer whose turn never comes takes no steps, but has an optimizer all the same.
        rate = RATE_SCHEDULES[self.rate_schedule](learning_rate, max(total_steps, 1))
        if self.weight_decay:
            return keras.optimizers.AdamW(rate, weight_decay=self.weight_decay, **arguments)
        return keras.optimizers.Adam(rate, **arguments)

    def _label_embedding(self):
        return _with(labels.get(self.label_embedding), strength=self.label_strength)

    def _negatives(self):
        source = negatives.get(self.negatives)
        # All wrong labels have no count of their own.
        if "count" not in source.get_config():
            return source
        return _with(source, count=self.negatives_count)

    def _readout(self):
        if self.readout == BEST_LAYERS:
            return readouts.Goodness(readouts.VALIDATION)
        return readouts.get(self.readout)

    def _loss(self):
        loss = losses.get(self.loss)
        parameters = {
            name: list(value) if isinstance(value, tuple) else value
            for name in LOSS_PARAMETERS
            if (value := getattr(self, name)) is not None
        }
        for name in parameters:
            if name not in loss.get_config():
                takers = [other for other in losses.KNOWN if name in losses.get(other).get_config()]
                raise ValueError(
                    f"The loss {self.loss!r} has no {name}; "
                    f"{' and '.join(repr(taker) for taker in takers)} "
                    f"{'has' if len(takers) == 1 else 'have'} one. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        return _with(loss, **parameters)


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
        parts.whole_number(layers, "layers")
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


@contextlib.contextmanager
def _dtype_policy(name):
    """Keras's dtype policy while a model is made."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _with(part, **changed):
    """A part like `part`, with some arguments changed."""
    # Not by `from_config`, by which Keras makes a TypeError of a part's ValueError.
    return type(part)(**{**part.get_config(), **changed})


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
