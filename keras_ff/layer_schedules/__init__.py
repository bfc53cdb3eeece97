"""Layer schedules: the order in which layers learn."""

from keras_ff.layer_schedules.alternating import Alternating
from keras_ff.layer_schedules.base import LayerSchedule
from keras_ff.layer_schedules.greedy import Greedy
from keras_ff.layer_schedules.pipelined import Pipelined
from keras_ff.layer_schedules.simultaneous import Simultaneous
from keras_ff.layer_schedules.windows import Windows
from keras_ff.utils import registry

KNOWN = {
    "greedy": Greedy,
    "simultaneous": Simultaneous,
    "alternating": Alternating,
    "pipelined": Pipelined,
    "windows": Windows,
}


def get(identifier):
    """A layer schedule by name, object or configuration; see `keras_ff.utils.registry.get`."""
    return registry.get(identifier, LayerSchedule, KNOWN, "layer schedule")
