"""TrainingConfig: what a training run depends on."""

import dataclasses
import shlex

from keras_ff import datasets, goodness, measurements
from keras_ff.datasets import DataConfig
from keras_ff.datasets.data_config import VARIATIONS
from keras_ff.recipes.checks import check, idle, refuse_idle
from keras_ff.recipes.defaults import ARCHITECTURES, DEFAULTS, FASTEST
from keras_ff.recipes.dtypes import fastest_policy
from keras_ff.recipes.models import (
    LOSS_PARAMETERS,
    NEEDED_LOSS_PARAMETERS,
    head_of,
    looks_at_samples,
    loss_of,
    model_of,
)
from keras_ff.recipes.serialized import read_model
from keras_ff.utils import checks, files, registry
from keras_ff.utils.text_tables import plainly

# Training samples in which a new model's parts are found, at most.
SAMPLES = 5000


@dataclasses.dataclass(frozen=True)
class TrainingConfig(DataConfig):
    """All that a training run depends on: data, a model, epochs and a seed.

    Two runs of one configuration end with equal metrics. The model is described by options, or
    given as a whole. `TrainingConfig.for_dataset` starts from what suits a dataset.

    Args:
        architecture: string: `"mlp"`, dense layers; `"cnn"`, convolutions of 3 × 3, with average
            pooling where layers grow wider; or `"resnet"`, the seventeen convolutions of
            `keras_ff.models.architectures.resnet`.
        units: tuple of integers, the width of each layer, first to last: units, or channels. Of
            a `"resnet"` the width of the first layers alone.
        activation: string, a name for `keras_ff.activations.get`.
        goodness, loss, negatives, label_embedding, layer_schedule, readout: strings, names for the
            modules of keras_ff that they are called after. The readout `"best_layers"` is the
            goodness of the layers that do best on validation data; `"mirrored_best_layers"` adds
            test-time augmentation by mirror images. `"softmax_of_averages"` is a linear head on
            global average pooling of all layers, standardised, with test-time augmentation: by a
            pixel's shift where `shift` is given, and by mirror images where `flip` is. `"joint"`
            and `"joint_of_averages"`, for class groups, are `keras_ff.readouts.Joint` of the best
            layers' goodness and a head, that of `"softmax"` or `"softmax_of_averages"`: of both,
            goodness and the head, what does best on validation data. Without a validation part
            it is both, with the goodness of all layers.
        readout_epochs: integer, epochs in which a readout with a head learns after the layers,
            which then stay as they are; or `None`: it learns beside them.
        whitening: integer, side in pixels of the patches whose principal components
            `keras_ff.layers.PatchWhitening`, fixed, gives to the first convolution; found in
            training images, and made for standardised ones. `None` for none.
        goodness_scale: float above 0 that multiplies the goodness, or `None` for the goodness's
            default. Thresholds, margins and alpha are meant for the scaled goodness.
        classifier_regions: integer, regions per side to which the goodness `"local_classifier"`
            pools images; or `None`: it sees all positions.
        free_units: units of class groups that belong to no class, as for
            `keras_ff.goodness.ClassGroups(free=…)`: a number of them, a share, `"all"`, or a
            tuple with one of these per layer. They learn by `supervised_contrast` and
            `similarity_matching` alone. `None` for none.
        alpha, threshold, margin, label_smoothing: parameters of the loss, for those losses that
            have them; `None` stands for the loss's default.
        coarse_classes: tuple of integers that grow, or one integer: so many coarse classes are
            what early layers learn, the fewest the first of them, and the last layers the classes
            (`keras_ff.losses.CoarseClasses`). Which classes belong together is found by Ward's
            clustering of their mean training images. `None`: all layers learn the classes.
        negatives_count: integer, negatives per sample.
        label_strength: float, energy of the label as a share of the sample's.
        normalization: string, a name for `FFLayer`.
        dropout: float in [0, 1).
        peer_normalization: float, weight of peer normalisation; 0 for none.
        supervised_contrast: float above 0, weight of `keras_ff.losses.SupCon` in every layer's
            loss, whose head makes a layer's gradient pass two matrices; or `None`.
        supervised_contrast_regions: integer, regions per side that its head pools images
            to, or `None` for `SupCon`'s default.
        similarity_matching: float above 0, weight of `keras_ff.losses.SimilarityMatching` in every
            layer's loss, whose head makes a layer's gradient pass two matrices; or `None`.
        epochs: integer, epochs in all.
        optimizer: string: `"muon"`, `keras_ff.optimizers.Muon`, for convolutions; or `None`: Adam.
        learning_rate: float, or a tuple with one per layer: the optimizer's rate at the beginning.
        rate_schedule: string: `"constant_then_linear"`, for the first half of a layer's steps,
            from where on the rate falls linearly to 0; or `"cosine"`, which falls to a hundredth.
        weight_decay: float of at least 0, share of the weights taken off in each step, times the
            learning rate (AdamW); 0 for none.
        clip_norm: float above 0 at which the length of a layer's gradient is cut off, or `None`.
        weight_averaging: float in [0, 1), momentum of a moving average of the weights which takes
            their place in validation and at the end; 0 for none.
        dtype_policy: string, a Keras dtype policy. `for_dataset` chooses `"mixed_bfloat16"` or
            `"float32"` for MNIST and for convolutions, whichever this machine is faster in.
        model: dictionary, a compiled `FFModel` as `keras.saving.serialize_keras_object` describes
            it, in the place of all options about the network and its optimizers, which then keep
            their defaults; or `None`.
        **data: the options of `keras_ff.datasets.DataConfig`. Weights and negatives go by their
            `seed` as well.

    Raises:
        ValueError: if a name is unknown, a value is out of its range or a parameter is not one of
            the loss.

    Example:

    >>> TrainingConfig(units=[500, 300], loss="logistic").threshold
    'auto'
    """

    architecture: str = "mlp"
    units: tuple = (500, 500, 500)
    whitening: int | None = None
    activation: str = "relu"
    goodness: str = "mean_of_squares"
    goodness_scale: float | None = None
    classifier_regions: int | None = None
    free_units: int | float | str | tuple | None = None
    loss: str = "label_softmax"
    alpha: float | str | None = None
    threshold: float | str | tuple | None = None
    margin: float | tuple | None = None
    label_smoothing: float | None = None
    coarse_classes: tuple | None = None
    negatives: str = "random_labels"
    negatives_count: int = 5
    label_embedding: str = "append"
    label_strength: float = 0.1
    normalization: str = "length"
    dropout: float = 0.0
    peer_normalization: float = 0.0
    supervised_contrast: float | None = None
    supervised_contrast_regions: int | None = None
    similarity_matching: float | None = None
    layer_schedule: str = "greedy"
    readout: str = "goodness"
    readout_epochs: int | None = None
    epochs: int = 30
    optimizer: str | None = None
    learning_rate: float | tuple = 1e-3
    rate_schedule: str = "constant_then_linear"
    weight_decay: float = 0.0
    clip_norm: float | None = None
    weight_averaging: float = 0.0
    dtype_policy: str = "float32"
    model: dict | None = None

    def __post_init__(self):
        super().__post_init__()
        checks.whole_number(self.epochs, "epochs")
        if self.model is not None:
            object.__setattr__(self, "model", files.for_json(self.model))
            self._check_nothing_beside_model()
            return
        for name, value in vars(self).items():
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        if not isinstance(self.coarse_classes, (tuple, type(None))):
            object.__setattr__(self, "coarse_classes", (self.coarse_classes,))
        check(self)
        # Parameters of the loss are written out, so that a configuration says all.
        for name, value in loss_of(self).get_config().items():
            if name in NEEDED_LOSS_PARAMETERS:
                object.__setattr__(self, name, tuple(value) if isinstance(value, list) else value)

    def _check_nothing_beside_model(self):
        for field in dataclasses.fields(self):
            if field.name not in BESIDE_MODEL and getattr(self, field.name) != field.default:
                raise ValueError(
                    "A configuration that holds a model takes no option about the network: leave "
                    f"`{field.name}` out. Received: {field.name}={getattr(self, field.name)!r}"
                )

    @classmethod
    def for_dataset(
        cls, dataset=datasets.digits.NAME, layers=None, data_dir=None, num_classes=None, **chosen
    ):
        """A configuration that suits a dataset, apart from what is chosen.

        Args:
            dataset: string, a name for `keras_ff.datasets.load`. Defaults to `"digits"`.
            layers: integer, number of layers. Defaults to `None`: as `units` or the dataset say.
            data_dir: folder of the prepared datasets, as for `keras_ff.datasets.info`.
            num_classes: integer, where it shall not be looked up. Defaults to `None`.
            **chosen: arguments of `TrainingConfig`; `units` may be one integer for all layers. A
                threshold or a margin without a loss implies the logistic loss, class groups the
                cross-entropy.

        Returns:
            A `TrainingConfig`.

        Raises:
            ValueError: as for `TrainingConfig`, or if the dataset is unknown, `layers` and
                `units` contradict each other, or what is chosen would do nothing, such as
                negatives for class groups.
        """
        if num_classes is None:
            num_classes = datasets.info(dataset, data_dir=data_dir).num_classes
        known = DEFAULTS.get(dataset.partition(":")[0], {})
        own = ARCHITECTURES.get(chosen.get("architecture"), {})
        recipe = {**_DEFAULTS, **known, "dataset": dataset, **own}
        if chosen.get("model") is not None:
            # A network has its own options.
            recipe = {**_DEFAULTS, **{name: recipe[name] for name in BESIDE_MODEL}}
        else:
            recipe["negatives_count"] = min(recipe["negatives_count"], num_classes - 1)
            recipe["units"] = widths(chosen.pop("units", None), layers, recipe["units"])
        if recipe["dtype_policy"] == FASTEST and "dtype_policy" not in chosen:
            recipe["dtype_policy"] = fastest_policy(chosen.get("architecture", "mlp") != "mlp")
        for name in chosen:
            if name not in _DEFAULTS:
                raise ValueError(
                    f"A training has no option {name!r}. {registry.nearest(name, _DEFAULTS)} "
                    f"Received: {name}={chosen[name]!r}"
                )
        return cls(**{**recipe, **_implied(recipe, chosen)})._without_idle(chosen)

    @classmethod
    def of_preset(cls, preset):
        """The configuration that trains a preset, or `None` where it is trained otherwise."""
        recipe = preset.metadata.get("recipe")
        return None if recipe is None else cls.from_dict(recipe)

    def changed(self, **chosen):
        """This configuration with other options, which imply others as in `for_dataset`.

        Raises:
            ValueError: as for `for_dataset`.
        """
        return dataclasses.replace(self, **_implied(vars(self), chosen))._without_idle(chosen)

    def _without_idle(self, chosen):
        """This configuration, or a ValueError where one of the options `chosen` does nothing."""
        if self.model is None:
            refuse_idle(self, chosen)
        return self

    @property
    def data(self):
        """The `keras_ff.datasets.DataConfig`."""
        return DataConfig(**{name: getattr(self, name) for name in DATA})

    load_data = DataConfig.load

    def to_dict(self):
        """The configuration as JSON holds it: data and options, or data and the model."""
        found = super().to_dict()
        if self.model is None:
            del found["model"]
            return found
        return {name: found[name] for name in BESIDE_MODEL}

    def options(self):
        """The options that are given and do something, as JSON holds them, without a model."""
        left_out = idle(self) if self.model is None else ("model",)
        return {
            name: value
            for name, value in self.to_dict().items()
            if value is not None and name not in left_out
        }

    def command(self):
        """The command that trains by this configuration, with every option that does something."""
        words = ["keras-ff", "train"]
        if self.model is not None:
            return shlex.join([*words, "--config", "config.json"])
        for name, value in self.options().items():
            option = "--" + name.replace("_", "-")
            text = plainly(value)
            if isinstance(value, bool):
                words.append(option if value else option.replace("--", "--no-", 1))
            elif text.startswith("-"):  # by itself it would be taken for an option
                words.append(f"{option}={text}")
            else:
                words += [option, text]
        if len(self.units) == 1:  # one width by itself is that of all layers
            words += ["--layers", "1"]
        if self.clip_norm is None and self._usual("clip_norm") is not None:
            words += ["--clip-norm", "none"]
        return shlex.join(words)

    def _usual(self, name):
        """What an option is where nothing is chosen but the dataset and the architecture."""
        known = DEFAULTS.get(self.dataset.partition(":")[0], {})
        own = ARCHITECTURES[self.architecture]
        return {**_DEFAULTS, **known, **own}[name]

    def training_samples(self, data_dir=None):
        """Training samples for `new_model`, which finds whitening and coarse classes in them.

        They are as they are, not shifted, turned, mirrored or erased.

        Args:
            data_dir: as for `keras_ff.datasets.load`. Defaults to `None`.

        Returns:
            A pair of arrays (x, y), or `None` where the model needs none.
        """
        if self.model is not None or not looks_at_samples(self):
            return None
        plain = dataclasses.replace(self.data, **VARIATIONS)
        return measurements.first_samples(plain.load(data_dir=data_dir)[0], SAMPLES)

    def new_model(self, image_shape, num_classes, steps_per_epoch, samples=None):
        """An `FFModel`, built and compiled under the dtype policy. Seeds are for the caller to set.

        With `readout_epochs` it scores by goodness, until it gets the readout of `new_head`.

        Args:
            image_shape: tuple, shape of a sample.
            num_classes: integer.
            steps_per_epoch: integer, batches per epoch: the learning rates fall by them.
            samples: pair of arrays (x, y), as of `training_samples`. Defaults to `None`: enough
                without `whitening` and `coarse_classes`.

        Raises:
            ValueError: if the model of the configuration is for other samples or classes, or
                `samples` are needed: they must have all classes, and more of them than coarse ones.
        """
        if self.model is not None:
            return read_model(self.model, image_shape, num_classes)
        return model_of(self, image_shape, num_classes, steps_per_epoch, samples)

    def new_head(self, steps_per_epoch):
        """The readout whose head is to learn after the layers, for `readout_epochs`.

        Args:
            steps_per_epoch: integer, batches per epoch: the learning rate falls by them.
        """
        return head_of(self, steps_per_epoch)


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(TrainingConfig)}
# Options that say how data are prepared, and those that a configuration with a model has.
DATA = tuple(field.name for field in dataclasses.fields(DataConfig))
BESIDE_MODEL = (*DATA, "epochs", "model")


def _implied(options, chosen):
    """Chosen options and what they imply for others: the loss, and the end of its parameters."""
    chosen = dict(chosen)
    if not {"threshold", "margin"}.isdisjoint(chosen):
        chosen.setdefault("loss", "logistic")
    if "goodness" in chosen and goodness.get(chosen["goodness"]).per_class:
        chosen.setdefault("loss", "sparse_categorical_crossentropy")
    # The parameters of a loss suit that loss and the goodness it is measured on.
    if any(chosen.get(name, options[name]) != options[name] for name in ("loss", "goodness")):
        return {**dict.fromkeys(LOSS_PARAMETERS), **chosen}
    return chosen


def widths(units, layers, default):
    """The width of each layer, as a tuple.

    Args:
        units: `None`, an integer for all layers, or a list with one integer per layer.
        layers: `None` or the number of layers.
        default: tuple, the widths where neither says anything.

    Raises:
        ValueError: if a list of units does not have one entry per layer.
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
