"""What an `FFModel` accepts: its arguments, checked as it is constructed and built."""

import keras

from keras_ff.layers.ff_layer import FFLayer
from keras_ff.parts import whole_number


def needed(part, name):
    """`part`, or a ValueError where it is `None`."""
    if part is None:
        raise ValueError(f"FFModel cannot do without `{name}`. Received: {name}=None")
    return part


def checked_num_classes(num_classes):
    """A number of classes of at least 2, as an int."""
    number = whole_number(num_classes, "num_classes", minimum=0)
    if number < 2:
        raise ValueError(
            f"A classifier needs at least two classes. Received: num_classes={num_classes}"
        )
    return number


def checked_layers(layers):
    """FF layers as a list, all of them different objects with parts of their own."""
    layers = list(layers) if isinstance(layers, (list, tuple)) else [layers]
    if not layers:
        raise ValueError("FFModel needs at least one FF layer. Received: layers=[]")
    for position, layer in enumerate(layers):
        if not isinstance(layer, FFLayer):
            hint = ""
            if isinstance(layer, keras.layers.Layer):
                hint = f" Wrap it: keras_ff.layers.FFLayer({type(layer).__name__}(...))."
            raise ValueError(
                f"`layers` must hold FF layers, such as keras_ff.layers.FFDense(500).{hint} "
                f"Received: {layer!r} at position {position}"
            )
        if any(layer is earlier for earlier in layers[:position]):
            raise ValueError(
                "Every FF layer must be an object of its own; write "
                "[FFDense(500) for _ in range(3)], not [FFDense(500)] * 3. "
                f"Received: {layer.name!r} twice"
            )
        for part in ("transform", "normalization"):
            own = getattr(layer, part)
            if own is not None and any(own is getattr(other, part) for other in layers[:position]):
                raise ValueError(
                    f"Every FF layer needs a {part} of its own. "
                    f"Received: {own.name!r} in two layers"
                )
    return layers


def family(layers):
    """Whether the layers are class groups (True) or contrastive (False); all must be one."""
    families = {layer.goodness.per_class for layer in layers}
    if len(families) > 1:
        raise ValueError(
            "The layers of a model are either all contrastive or all class groups. Received: "
            f"{[type(layer.goodness).__name__ for layer in layers]}"
        )
    return families.pop()


def check_fits_family(class_groups, name, part):
    """Raise ValueError where a part of one family is used, or missing, in the other."""
    if class_groups and part is not None:
        raise ValueError(
            f"Class groups have one stream, without labels in it: pass {name}=None. "
            f"Received: {name}={part!r}"
        )
    if not class_groups:
        needed(part, name)


def checked_sample_shape(input_shape):
    """(None, *sample shape), or a ValueError."""
    if isinstance(input_shape, dict) or any(
        not (size is None or isinstance(size, int)) for size in input_shape
    ):
        raise ValueError(
            f"FFModel takes one input of shape (batch, ...). Received: {input_shape!r}"
        )
    if len(input_shape) < 2 or any(not size for size in input_shape[1:]):
        raise ValueError(
            "Samples must have a known shape of at least one axis, (batch, features) or "
            f"(batch, height, width, channels). Received: {tuple(input_shape)}"
        )
    return (None, *input_shape[1:])
