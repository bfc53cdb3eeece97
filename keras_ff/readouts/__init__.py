"""Readouts: how the layers' goodness or activities become one score per class."""

from keras_ff.readouts.goodness import Goodness
from keras_ff.readouts.joint import Joint
from keras_ff.readouts.softmax import Softmax
from keras_ff.utils import registry

KNOWN = {"goodness": Goodness, "softmax": Softmax, "joint": Joint}


def get(identifier):
    """A readout by name, object or configuration; see `keras_ff.utils.registry.get`."""
    return registry.get(identifier, (Goodness, Softmax, Joint), KNOWN, "readout")
