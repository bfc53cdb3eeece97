"""Where layers live."""

import contextlib

import keras


def on_device(name):
    """A context in which variables are created, and work is done, on a device; `None`: anywhere."""
    return contextlib.nullcontext() if name is None else keras.device(name)
