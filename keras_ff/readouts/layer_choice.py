"""Which layers a readout uses."""

import numbers

ALL = "all"


VALIDATION = "validation"


def checked_layers(layers):
    """`layers` as `"all"`, `None` or a list of indices; ValueError otherwise."""
    if layers is None or (isinstance(layers, str) and layers == ALL):
        return layers
    listed = isinstance(layers, (list, tuple)) and len(layers) > 0
    if listed and all(is_index(index) for index in layers):
        return [int(index) for index in layers]
    raise ValueError(
        "`layers` must be 'all' or a list of layer indices, 0 the first, -1 the last. "
        f"Received: layers={layers!r}"
    )


def is_index(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def chosen(layers, num_layers):
    """Which of `num_layers` layers count, as a list of booleans."""
    if layers == ALL:
        return [True] * num_layers
    if layers is None:
        return [index > 0 or num_layers == 1 for index in range(num_layers)]
    wrong = [index for index in layers if not -num_layers <= index < num_layers]
    if wrong:
        raise ValueError(
            f"The model has {num_layers} FF layers, 0 to {num_layers - 1}; the readout names "
            f"others. Received: layers={layers!r}"
        )
    wanted = {index % num_layers for index in layers}
    return [index in wanted for index in range(num_layers)]


def checked_boolean(value, name):
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be a boolean. Received: {name}={value!r}")
    return value


def check_that_images_come(readout, model):
    """Raise ValueError where samples are to be mirrored or moved that are no images."""
    for name in ("mirrored", "shift"):
        value = getattr(readout, name)
        if value and len(model.sample_shape) != 3:
            raise ValueError(
                f"readouts.{type(readout).__name__}({name}={value}) needs images, "
                "(height, width, channels). "
                f"Received: samples of shape {tuple(model.sample_shape)}"
            )
