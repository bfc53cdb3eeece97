"""The model that the options of a recipe describe."""

import contextlib
import functools
import inspect
import itertools

import keras

from keras_ff import (
    goodness,
    labels,
    layer_schedules,
    layers,
    losses,
    negatives,
    optimizers,
    readouts,
)
from keras_ff.models import FFModel
from keras_ff.models.architectures.ready import convolutions
from keras_ff.models.architectures.resnet import LAYERS as RESNET_LAYERS, resnet_layers
from keras_ff.optimizers.learning_rates import ConstantThenLinear
from keras_ff.optimizers.optimizer_template import OptimizerTemplate

BEST_LAYERS, MIRRORED_BEST_LAYERS = "best_layers", "mirrored_best_layers"
BY_VALIDATION = (BEST_LAYERS, MIRRORED_BEST_LAYERS)
SOFTMAX, SOFTMAX_OF_AVERAGES = "softmax", "softmax_of_averages"
JOINT, JOINT_OF_AVERAGES = "joint", "joint_of_averages"
# Readouts with a head that learns, beside the layers or after them.
HEADS = (SOFTMAX, SOFTMAX_OF_AVERAGES, JOINT, JOINT_OF_AVERAGES)
JOINTS = (JOINT, JOINT_OF_AVERAGES)
OF_AVERAGES = (SOFTMAX_OF_AVERAGES, JOINT_OF_AVERAGES)
# Adam's rate for a head that learns after the layers, falling as a cosine.
HEAD_RATE = 2e-3
# Parameters of losses: those that every loss with them needs, and one that is off by default.
NEEDED_LOSS_PARAMETERS = ("alpha", "threshold", "margin")
LOSS_PARAMETERS = (*NEEDED_LOSS_PARAMETERS, "label_smoothing")
# Parameters of a goodness, by the options that give them.
GOODNESS_PARAMETERS = {"goodness_scale": "scale", "classifier_regions": "regions"}
MUON = "muon"
RATE_SCHEDULES = {
    "constant_then_linear": ConstantThenLinear,
    "cosine": functools.partial(keras.optimizers.schedules.CosineDecay, alpha=0.01),
}


def model_of(config, image_shape, num_classes, steps_per_epoch, samples=None):
    """As `TrainingConfig.new_model`; `config` is a `TrainingConfig`."""
    if samples is None and looks_at_samples(config):
        raise ValueError(
            "Whitening and coarse classes are found in training samples: give those of "
            "`TrainingConfig.training_samples`. Received: samples=None"
        )
    with _dtype_policy(config.dtype_policy):
        return _model_of(config, image_shape, num_classes, steps_per_epoch, samples)


def looks_at_samples(config):
    """Whether a part of the model is found in training samples before it is built."""
    return config.whitening is not None or config.coarse_classes is not None


def _model_of(config, image_shape, num_classes, steps_per_epoch, samples):
    class_groups = goodness_of(config).per_class
    model = FFModel(
        [*_fixed_layers_of(config, samples), *_layers_of(config)],
        num_classes=num_classes,
        # Class groups have neither labels in their input nor negatives.
        label_embedding=None if class_groups else _label_embedding_of(config),
        negatives=None if class_groups else negatives_of(config),
        layer_schedule=layer_schedules.get(config.layer_schedule),
        readout=_readout_of(config),
    )
    depth = depth_of(config)
    rates = learning_rates_of(config)
    turns = [
        model.layer_schedule.learning_layers(epoch, config.epochs, depth)
        for epoch in range(config.epochs)
    ]
    for index, layer in enumerate(model.ff_layers):
        steps = sum(index in turn for turn in turns) * steps_per_epoch
        layer.own_optimizer = OptimizerTemplate(_optimizer_of(config, rates[index], steps))
    model.compile(
        optimizer=_optimizer_of(config, rates[-1], config.epochs * steps_per_epoch),
        loss=_loss_of_layers(config, samples),
        metrics=["accuracy"],
    )
    model.build((None, *image_shape))
    return model


def _fixed_layers_of(config, samples):
    """The layers in front of those that learn, adapted to training samples."""
    if config.whitening is None:
        return []
    whitening = layers.PatchWhitening(config.whitening)
    whitening.adapt(samples[0])
    return [whitening]


def _layers_of(config):
    """The layers that learn, without optimizers."""
    found = _alike_layers_of(config)
    if config.free_units is not None:
        for layer, free in zip(found, free_units_of(config), strict=True):
            layer.goodness = _with(layer.goodness, free=free)
    return found


def _alike_layers_of(config):
    """The same layers, in all of which every unit belongs to a class."""
    common = {
        "activation": config.activation,
        # A goodness may have weights, of which each layer makes its own.
        "goodness": keras.saving.serialize_keras_object(goodness_of(config)),
        "normalization": config.normalization,
        "dropout": config.dropout,
        "auxiliary": _auxiliary_of(config),
    }
    if config.architecture == "mlp":
        return [layers.FFDense(width, **common) for width in config.units]
    if config.architecture == "resnet":
        return resnet_layers(config.units[0], **common)
    blocks = [[config.units[0]]]
    for before, width in itertools.pairwise(config.units):
        if width > before:
            blocks.append([])
        blocks[-1].append(width)
    pooling = keras.layers.AveragePooling2D
    return convolutions(blocks, pooling, kernel_initializer="he_normal", **common)


def goodness_of(config):
    """The goodness of a layer, or a ValueError where it lacks a parameter that is given."""
    part = goodness.get(config.goodness)
    chosen = {}
    for option, name in GOODNESS_PARAMETERS.items():
        if (value := getattr(config, option)) is None:
            continue
        if name not in part.get_config():
            raise ValueError(
                f"The goodness {config.goodness!r} has no {name}. Received: {option}={value!r}"
            )
        chosen[name] = value
    return _with(part, **chosen) if chosen else part


def free_units_of(config):
    """Free units of class groups, a tuple with one entry per layer, or a ValueError."""
    return _of_each_layer(config, "free_units")


def _auxiliary_of(config):
    """Terms of a layer's loss besides that on goodness, of which each layer makes its own."""
    terms = []
    if config.peer_normalization:
        terms.append(layers.PeerNormalization(config.peer_normalization))
    if config.supervised_contrast is not None:
        regions = config.supervised_contrast_regions or 1
        terms.append(losses.SupCon(weight=config.supervised_contrast, regions=regions))
    if config.similarity_matching is not None:
        terms.append(losses.SimilarityMatching(weight=config.similarity_matching))
    return [keras.saving.serialize_keras_object(term) for term in terms]


def depth_of(config):
    """The number of layers that learn."""
    return RESNET_LAYERS if config.architecture == "resnet" else len(config.units)


def learning_rates_of(config):
    """Learning rates, a tuple with one per layer, or a ValueError where there are more or fewer."""
    return _of_each_layer(config, "learning_rate")


def _of_each_layer(config, name):
    """An option that is one for all layers or one for each, as a tuple with one per layer."""
    depth, chosen = depth_of(config), getattr(config, name)
    if not isinstance(chosen, tuple):
        return (chosen,) * depth
    if len(chosen) != depth:
        raise ValueError(
            f"`{name}` must be one number or one for each of the {depth} "
            f"layers. Received: {name}={chosen!r}"
        )
    return chosen


def _optimizer_of(config, learning_rate, total_steps):
    arguments = {"clipnorm": config.clip_norm}
    if config.weight_averaging:
        arguments |= {"use_ema": True, "ema_momentum": config.weight_averaging}
    # A layer whose turn never comes takes no steps, but has an optimizer all the same.
    rate = RATE_SCHEDULES[config.rate_schedule](learning_rate, max(total_steps, 1))
    if config.optimizer == MUON:
        decay = config.weight_decay
        return optimizers.Muon(rate, weight_decay=decay, adam_weight_decay=decay, **arguments)
    if config.weight_decay:
        return keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, **arguments)
    return keras.optimizers.Adam(rate, **arguments)


# What a configuration says of its negatives is read off their class: a source has a random state,
# and variables must not be made before a strategy for several machines.
def _kind_of_negatives(config):
    if config.negatives not in negatives.KNOWN:
        negatives.get(config.negatives)  # which says what would be right
    return negatives.KNOWN[config.negatives]


def is_unsupervised(config):
    """Whether negatives are images, so that layers learn without labels."""
    return _kind_of_negatives(config).are_images


def takes_negatives_count(config):
    """Whether the source of negatives lets the number of negatives be chosen."""
    return "count" in inspect.signature(_kind_of_negatives(config)).parameters


def _label_embedding_of(config):
    if is_unsupervised(config):
        return None
    return _with(labels.get(config.label_embedding), strength=config.label_strength)


def negatives_of(config):
    """The source of negatives."""
    source = negatives.get(config.negatives)
    if not takes_negatives_count(config):
        return source
    return _with(source, count=config.negatives_count)


def _readout_of(config):
    """The readout while layers learn."""
    # Without labels there is no goodness to score by.
    if config.readout_epochs is not None and not is_unsupervised(config):
        return readouts.Goodness("validation" if config.validation_share else "all")
    if config.readout in BY_VALIDATION:
        mirrored = config.readout == MIRRORED_BEST_LAYERS
        return readouts.Goodness("validation", mirrored=mirrored)
    if config.readout in HEADS:
        return _readout_with_head(config)
    return readouts.get(config.readout)


def head_of(config, steps_per_epoch):
    """The readout whose head learns after the layers; `config` is a `TrainingConfig`."""
    steps = config.readout_epochs * steps_per_epoch
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(HEAD_RATE, steps))
    return _readout_with_head(config, optimizer)


def _readout_with_head(config, optimizer=None):
    head, views = {"optimizer": optimizer}, {}
    if config.readout in OF_AVERAGES:
        head |= {"layers": "all", "regions": 1, "standardized": True}
        # Test-time augmentation by what the layers were trained on.
        views = {"mirrored": bool(config.flip), "shift": min(config.shift, 1)}
    if config.readout not in JOINTS:
        return readouts.Softmax(**head, **views)
    softmax = readouts.Softmax(**head)
    if not config.validation_share:
        return readouts.Joint(softmax=softmax, **views)
    best = readouts.Goodness("validation")
    return readouts.Joint(best, softmax, use="validation", **views)


def _loss_of_layers(config, samples):
    """The loss as the layers have it, early ones over coarse classes where those are wanted."""
    loss = loss_of(config)
    if config.coarse_classes is None:
        return loss
    tree = losses.class_tree(losses.class_means(*samples), config.coarse_classes)
    return losses.CoarseClasses(tree, loss=loss)


def loss_of(config):
    """The loss, or a ValueError where it lacks a parameter that is given."""
    loss = losses.get(config.loss)
    parameters = {
        name: list(value) if isinstance(value, tuple) else value
        for name in LOSS_PARAMETERS
        if (value := getattr(config, name)) is not None
    }
    for name in parameters:
        if name not in loss.get_config():
            takers = [other for other in losses.KNOWN if name in losses.get(other).get_config()]
            raise ValueError(
                f"The loss {config.loss!r} has no {name}; "
                f"{' and '.join(repr(taker) for taker in takers)} "
                f"{'has' if len(takers) == 1 else 'have'} one. "
                f"Received: {name}={getattr(config, name)!r}"
            )
    return _with(loss, **parameters)


def _with(part, **changed):
    """A part like `part`, with some arguments changed."""
    # Not by `from_config`, by which Keras makes a TypeError of a part's ValueError.
    return type(part)(**{**part.get_config(), **changed})


@contextlib.contextmanager
def _dtype_policy(name):
    """Keras's dtype policy while a model is made."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
