"""The options of a training's configuration, which `train` and `tune` share."""

import argparse

from keras_ff_cli import names
from keras_ff_cli.names import listed
from keras_ff_cli.options import DATA_DIR


def _integers(text):
    """An integer, or a tuple of them where there are commas."""
    numbers = tuple(int(word) for word in text.split(","))
    return numbers if "," in text else numbers[0]


def _number_or_name(text):
    """A float where the text is one; otherwise a name, for the library to judge."""
    try:
        return float(text)
    except ValueError:
        return text


def _free_units(text):
    """A number of units, a share of them or a name; a tuple of these where there are commas."""
    words = tuple(
        int(word) if word.isdecimal() else _number_or_name(word) for word in text.split(",")
    )
    return words if "," in text else words[0]


def _number_or_none(text):
    return None if text == "none" else float(text)


def _numbers_or_name(text):
    if "," in text:
        return tuple(float(word) for word in text.split(","))
    return _number_or_name(text)


# What argparse calls them in its errors.
_integers.__name__ = "integer or list of integers"
_number_or_none.__name__ = "number"
_numbers_or_name.__name__ = "number or list of numbers"


class _BooleanOrName(argparse.BooleanOptionalAction):
    """An option, its opposite, or the option with a name."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.nargs = "?"

    def __call__(self, parser, namespace, values, option_string=None):
        if values is None:
            super().__call__(parser, namespace, values, option_string)
        elif option_string.startswith("--no-"):
            parser.error(f"{option_string} takes no value")
        else:
            setattr(namespace, self.dest, values)


_NUMBERS = "NUMBER[,NUMBER…]"  # for all layers or each
_MORE_READOUTS = "softmax_of_averages, joint_of_averages, best_layers, mirrored_best_layers"
# By groups: type (`bool` for an option and its opposite, `_BooleanOrName` for a name as well), what
# stands for the value, and help.
_OPTIONS = {
    "data": {
        "dataset": (str, "NAME", "digits (default) or a dataset of TFDS"),
        "data_dir": tuple(DATA_DIR.values()),
        "validation_share": (float, "SHARE", "of the training samples"),
        "samples": (int, "N", "size of the training set, the validation part included"),
        "standardize": (bool, None, "subtract each channel's mean, divide by its deviation"),
        "shift": (int, "PIXELS", "shift training images at random"),
        "rotate": (float, "DEGREES", "turn training images at random"),
        "flip": (_BooleanOrName, "alternating", "mirror training images, or in turns"),
        "crop": (float, "SHARE", "crop training images to this share or more"),
        "colors": (float, "SHARE", "change training images' colours up to this"),
        "erase": (int, "PIXELS", "erase a square of training images at random"),
        "image_size": (_integers, "HEIGHT,WIDTH", "resize images to this"),
    },
    "network": {
        "architecture": (str, "NAME", "mlp (default), cnn, resnet"),
        "layers": (int, "N", "number of layers"),
        "units": (_integers, "N[,N…]", "width of all layers, or of each"),
        "whitening": (
            int,
            "PIXELS",
            "side of the patches whitened in front of a cnn",
        ),
        "activation": (str, "NAME", "relu, tanh or another of Keras"),
        "normalization": (str, "NAME", "between layers: length, batch, …"),
        "dropout": (float, "SHARE", "of the activities"),
        "peer_normalization": (float, "WEIGHT", "keeps units equally active"),
        "supervised_contrast": (float, "WEIGHT", "draws samples of a class together"),
        "supervised_contrast_regions": (int, "N", "per side, to which its inputs are pooled"),
        "similarity_matching": (float, "WEIGHT", "makes samples as similar as their labels"),
        "label_embedding": (str, "NAME", f"of classes: {listed(names.LABELS)}"),
        "label_strength": (float, "SHARE", "of a sample's energy"),
        "readout": (str, "NAME", f"{listed(names.READOUTS)}, {_MORE_READOUTS}"),
        "readout_epochs": (int, "N", "of a readout's head that learns after the layers"),
    },
    "objective of each layer": {
        "goodness": (str, "NAME", listed(names.GOODNESS)),
        "goodness_scale": (float, "NUMBER", "multiplies the goodness"),
        "classifier_regions": (
            int,
            "N",
            "per side, to which local classifiers pool",
        ),
        "free_units": (
            _free_units,
            "N|SHARE|all[,…]",
            "of class groups, of no class",
        ),
        "loss": (str, "NAME", listed(names.LOSSES)),
        "alpha": (_number_or_name, "NUMBER", "steepness of symba, label_softmax"),
        "threshold": (_numbers_or_name, _NUMBERS, "of the logistic loss; or auto, learned"),
        "margin": (_numbers_or_name, _NUMBERS, "of the logistic loss"),
        "label_smoothing": (float, "SHARE", "of the target, spread over all classes"),
        "coarse_classes": (_integers, "N[,N…]", "coarse classes that early layers learn, by level"),
        "negatives": (str, "NAME", listed(names.NEGATIVES)),
        "negatives_count": (int, "N", "negatives per sample"),
    },
    "training": {
        "layer_schedule": (str, "NAME", listed(names.LAYER_SCHEDULES)),
        "epochs": (int, "N", "epochs in all"),
        "batch_size": (int, "N", "samples per step"),
        "optimizer": (str, "NAME", "muon, for convolutions (default: Adam)"),
        "learning_rate": (_numbers_or_name, "RATE[,RATE…]", "at the beginning"),
        "rate_schedule": (str, "NAME", "constant_then_linear (half of the steps each) or cosine"),
        "weight_decay": (float, "SHARE", "times the rate, per step; 0: none"),
        "clip_norm": (_number_or_none, "LENGTH", "of a layer's gradient, at most; or none"),
        "weight_averaging": (float, "MOMENTUM", "of averaged weights; 0: none"),
        "dtype_policy": (str, "NAME", "of Keras (mnist, convolutions: what is faster here)"),
        "seed": (int, "N", "decides all that is random"),
    },
}


def add_to(parser):
    """The options of a `TrainingConfig`."""
    for title, options in _OPTIONS.items():
        group = parser.add_argument_group(title)
        for name, (kind, metavar, text) in options.items():
            option = "--" + name.replace("_", "-")
            if kind is bool:
                group.add_argument(option, action=argparse.BooleanOptionalAction, help=text)
            elif kind is _BooleanOrName:
                group.add_argument(option, action=kind, metavar=metavar, help=text)
            else:
                group.add_argument(option, type=kind, metavar=metavar, help=text)
