"""What `keras_ff.datasets.load` takes: its arguments, checked."""

import collections.abc
import numbers

from keras_ff.datasets import digits
from keras_ff.datasets.augmentation import ALTERNATING
from keras_ff.utils import checks

AUGMENTATIONS = ("flip", "shift", "rotate", "crop", "colors", "erase")


def check_name(name):
    """Raise ValueError where a name cannot be that of a dataset."""
    if not isinstance(name, str) or not name:
        raise ValueError(
            f"`name` must be {digits.NAME!r} or the name of a TFDS dataset. Received: name={name!r}"
        )


def integer(value, name, minimum, maximum=None):
    """`value` as an integer within bounds, or a ValueError that names the parameter."""
    valid = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not valid or value < minimum or (maximum is not None and value > maximum):
        bounds = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise ValueError(f"`{name}` must be an integer {bounds}. Received: {name}={value!r}")
    return int(value)


def size(image_size):
    """`(height, width)` or `None`, or a ValueError."""
    if image_size is None:
        return None
    try:
        height, width = (integer(side, "image_size", minimum=1) for side in image_size)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`image_size` must be (height, width), two integers of at least 1. "
            f"Received: image_size={image_size!r}"
        ) from error
    return height, width


def augmentation(augment):
    """`augment` as a dictionary with an entry for every augmentation."""
    valid = ", ".join(repr(name) for name in AUGMENTATIONS)
    if augment is None:
        augment = {}
    if not isinstance(augment, collections.abc.Mapping):
        raise ValueError(
            f"`augment` must be a dictionary with the keys {valid} or some of them. "
            f"Received: augment={augment!r}"
        )
    unknown = [name for name in augment if name not in AUGMENTATIONS]
    if unknown:
        raise ValueError(
            f"Unknown augmentation: {unknown[0]!r}. Valid names: {valid}. "
            f"Received: augment={augment!r}"
        )
    flip = augment.get("flip", False)
    if not isinstance(flip, bool) and flip != ALTERNATING:
        raise ValueError(
            f"The augmentation 'flip' must be a boolean or {ALTERNATING!r}. Received: flip={flip!r}"
        )
    rotate = checks.finite_number(augment.get("rotate", 0), "rotate")
    if not 0 <= rotate <= 180:
        raise ValueError(
            "The augmentation 'rotate' must be an angle from 0 to 180 degrees. "
            f"Received: rotate={rotate!r}"
        )
    shift = integer(augment.get("shift", 0), "shift", minimum=0)
    erase = integer(augment.get("erase", 0), "erase", minimum=0)
    crop = checks.finite_number(augment.get("crop", 1), "crop")
    if not 0 < crop <= 1:
        raise ValueError(
            "The augmentation 'crop' must be a share of the area above 0 and up to 1. "
            f"Received: crop={crop!r}"
        )
    colors = checks.share(augment.get("colors", 0), "colors")
    return {
        "flip": flip,
        "shift": shift,
        "rotate": rotate,
        "crop": crop,
        "colors": colors,
        "erase": erase,
    }
