"""Options that several commands share.

Those that are not given are absent, so that defaults are the dataset's or the run's.
"""

import argparse

from keras_ff import goodness, labels, layer_schedules, losses, negatives, readouts


def add_configuration(parser):
    """The options of a `TrainingConfig`."""
    data = parser.add_argument_group("data")
    data.add_argument("--dataset", metavar="NAME", help="digits (default) or a dataset of TFDS")
    data.add_argument("--data-dir", metavar="FOLDER", help="TFDS's folder of prepared datasets")
    data.add_argument(
        "--validation-share", type=float, metavar="SHARE", help="of the training samples"
    )
    data.add_argument(
        "--standardize",
        action=argparse.BooleanOptionalAction,
        help="subtract each channel's mean, divide by its standard deviation",
    )
    data.add_argument("--shift", type=int, metavar="PIXELS", help="shift training images at random")
    data.add_argument(
        "--rotate", type=float, metavar="DEGREES", help="turn training images at random"
    )
    data.add_argument(
        "--flip",
        action=argparse.BooleanOptionalAction,
        help="mirror training images at random",
    )
    data.add_argument(
        "--crop", type=float, metavar="SHARE", help="crop training images to this share or more"
    )
    data.add_argument(
        "--colors", type=float, metavar="SHARE", help="change training images' colours up to this"
    )
    data.add_argument(
        "--erase", type=int, metavar="PIXELS", help="erase a square of training images at random"
    )
    data.add_argument(
        "--image-size", type=_integers, metavar="HEIGHT,WIDTH", help="resize images to this"
    )

    network = parser.add_argument_group("network")
    network.add_argument("--architecture", metavar="NAME", help="mlp (default), cnn, resnet")
    network.add_argument("--layers", type=int, metavar="N", help="number of layers")
    network.add_argument(
        "--units", type=_integers, metavar="N[,N…]", help="width of all layers, or of each"
    )
    network.add_argument("--activation", metavar="NAME", help="relu, tanh or another of Keras")
    network.add_argument("--normalization", metavar="NAME", help="between layers: length, batch, …")
    network.add_argument("--dropout", type=float, metavar="SHARE", help="of the activities")
    network.add_argument(
        "--peer-normalization", type=float, metavar="WEIGHT", help="keeps units equally active"
    )
    network.add_argument(
        "--supervised-contrast",
        type=float,
        metavar="WEIGHT",
        help="draws samples of a class together",
    )
    network.add_argument(
        "--supervised-contrast-regions",
        type=int,
        metavar="N",
        help="per side, of which it sees the averages",
    )
    network.add_argument("--label-embedding", metavar="NAME", help=f"of classes: {names(labels)}")
    network.add_argument(
        "--label-strength", type=float, metavar="SHARE", help="of a sample's energy"
    )
    network.add_argument(
        "--readout",
        metavar="NAME",
        help=f"{names(readouts)}, softmax_of_averages, best_layers, mirrored_best_layers",
    )
    network.add_argument(
        "--readout-epochs",
        type=int,
        metavar="N",
        help="in which a softmax readout learns after the layers (default: beside them)",
    )

    objective = parser.add_argument_group("objective of each layer")
    objective.add_argument("--goodness", metavar="NAME", help=names(goodness))
    objective.add_argument(
        "--goodness-scale", type=float, metavar="NUMBER", help="multiplies the goodness"
    )
    objective.add_argument("--loss", metavar="NAME", help=names(losses))
    objective.add_argument(
        "--alpha", type=_number_or_name, metavar="NUMBER", help="steepness of symba, label_softmax"
    )
    objective.add_argument(
        "--threshold",
        type=_numbers_or_name,
        metavar="NUMBER[,NUMBER…]",
        help="of the logistic loss, for all layers or each; auto, learned",
    )
    objective.add_argument(
        "--margin",
        type=_numbers_or_name,
        metavar="NUMBER[,NUMBER…]",
        help="of the logistic loss, for all layers or each",
    )
    objective.add_argument("--negatives", metavar="NAME", help=names(negatives))
    objective.add_argument("--negatives-count", type=int, metavar="N", help="negatives per sample")

    learning = parser.add_argument_group("training")
    learning.add_argument("--layer-schedule", metavar="NAME", help=names(layer_schedules))
    learning.add_argument("--epochs", type=int, metavar="N", help="epochs in all")
    learning.add_argument("--batch-size", type=int, metavar="N", help="samples per step")
    learning.add_argument(
        "--learning-rate",
        type=_numbers_or_name,
        metavar="RATE[,RATE…]",
        help="of Adam, at the beginning",
    )
    learning.add_argument(
        "--rate-schedule",
        metavar="NAME",
        help="constant_then_linear: for half of the steps, then falling to 0; or cosine",
    )
    learning.add_argument(
        "--weight-decay", type=float, metavar="SHARE", help="times the rate, a step; 0: none"
    )
    learning.add_argument(
        "--clip-norm", type=float, metavar="LENGTH", help="of a layer's gradient, at most"
    )
    learning.add_argument(
        "--weight-averaging", type=float, metavar="MOMENTUM", help="of averaged weights; 0: none"
    )
    learning.add_argument(
        "--dtype-policy", metavar="NAME", help="float32, mixed_bfloat16 or another of Keras"
    )
    learning.add_argument("--seed", type=int, metavar="N", help="decides all that is random")


def names(module):
    return ", ".join(module.KNOWN)


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


def _numbers_or_name(text):
    if "," in text:
        return tuple(float(word) for word in text.split(","))
    return _number_or_name(text)


# What argparse calls them in its errors.
_integers.__name__ = "integer or list of integers"
_numbers_or_name.__name__ = "number or list of numbers"
