"""What the package must know of the inside of Keras."""

import contextlib


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


@contextlib.contextmanager
def unlocked(layer):
    """Variables and layers may be added though the layer is built, as when a model is loaded."""
    locked = layer._tracker.locked
    layer._tracker.unlock()
    yield
    if locked:
        layer._tracker.lock()


def untrack(layer, variable):
    """Forget a variable that the layer does not need any more."""
    layer._untrack_variable(variable)


def clear_losses(layer):
    """Forget the penalties of an earlier call, as Keras does where it calls a layer itself."""
    layer._clear_losses()


def has_losses(layer):
    """Whether the last call of a layer, or of one within it, added penalties."""
    return any(part._losses for part in layer._flatten_layers())


def has_activity_regularizer(layer):
    """Whether a layer, or one within it, penalises activities."""
    return any(part.activity_regularizer for part in layer._flatten_layers())
