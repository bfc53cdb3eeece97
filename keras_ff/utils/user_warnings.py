"""Warnings that name the line of the user's program, and those of former names."""

import inspect
import pathlib
import sys
import warnings

_OURS = [
    pathlib.Path(sys.modules[name].__file__).resolve().parent for name in ("keras_ff", "keras")
]


def warn(message, category=UserWarning):
    """Warn at the nearest line that lies neither in keras_ff nor in Keras."""
    level, frame = 2, inspect.currentframe().f_back
    while frame is not None and _is_ours(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_ours(filename):
    path = pathlib.Path(filename).resolve()
    return any(path.is_relative_to(folder) for folder in _OURS)


def warn_of_former_name(former, name, removed_in, category=DeprecationWarning):
    """Warn that something has another name now, and when the former one goes.

    Args:
        former, name: strings.
        removed_in: string, the version of keras_ff that no longer has the former name.
        category: class of the warning. Defaults to `DeprecationWarning`; a `UserWarning` is for
            what is typed on the command line.
    """
    warn(f"`{former}` is now `{name}`; keras_ff {removed_in} removes the former name.", category)
