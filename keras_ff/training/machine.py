"""The machine and the versions, on which the seconds and metrics of a run depend."""

import importlib
import os
import pathlib
import platform

import keras

from keras_ff import backends
from keras_ff.version import __version__


def machine():
    """Properties of the machine, by name."""
    return {
        "architecture": platform.machine(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "devices": backends.devices(),
    }


def _processor():
    """The processor's name and its units for matrix products in bfloat16, as far as known."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    found = {key.strip(): value.strip() for key, value in found.items()}
    units = {"amx_bf16", "avx512_bf16"} & set(found.get("flags", "").split())
    return ", ".join([found.get("model name", platform.processor()), *sorted(units)])


def versions():
    """Versions of keras_ff, Keras, its backend and Python."""
    backend = keras.backend.backend()
    return {
        "keras_ff": __version__,
        "keras": keras.version(),
        backend: importlib.import_module(backend).__version__,
        "python": platform.python_version(),
    }
