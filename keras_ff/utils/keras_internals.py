"""What the package must know of the inside of Keras."""


def keep_frozen(layer):
    """Freeze all that a layer holds, once it is built, where the layer itself is frozen.

    Keras's constructors, and so all that reads a configuration, set `trainable` before a layer has
    parts and weights, and those that come later do not learn of it.
    """
    if not layer.trainable:
        layer.trainable = True  # what is false already Keras does not set again
        layer.trainable = False


def training_argument(layer, training):
    """`training=` for the Keras layers that take it, as keyword arguments."""
    return {"training": training} if layer._call_has_training_arg else {}
