"""Where presets are found: registered folders, those of the environment, the packaged ones."""

import os
import pathlib
import warnings

from keras_ff.presets.preset import Preset, is_preset
from keras_ff.utils import registry

# Names folders of presets, several as in PATH.
VARIABLE = "KERAS_FF_ZOO"
_HERE = pathlib.Path(__file__).resolve()
# In a wheel the presets lie within the package, in a clone beside it.
_PACKAGED = (_HERE.parents[1] / "zoo" / "presets", _HERE.parents[2] / "zoo")

_registered = []


def register(folder):
    """Have the presets in a folder found by name, before those found otherwise.

    The environment variable `KERAS_FF_ZOO` does the same for a process, with one folder or
    several, separated as in PATH.

    Args:
        folder: string or path of a folder that holds presets, each in a folder of its own.

    Raises:
        ValueError: if there is no such folder.

    Example:

    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=10)
    >>> model.build((None, 8, 8, 1))
    >>> model.save_to_preset("my_presets/small")
    >>> register("my_presets")
    >>> list_presets()["small"].parameters
    601
    """
    path = pathlib.Path(folder).resolve()
    if not path.is_dir():
        raise ValueError(f"There is no such folder of presets. Received: folder={str(folder)!r}")
    if path in _registered:
        _registered.remove(path)
    _registered.insert(0, path)


def list_presets(dataset=None, activation=None, architecture=None, folders=()):
    """The presets at hand.

    They are looked for in `folders`, in those that were registered, in those of the environment
    variable `KERAS_FF_ZOO`, and among those that come with keras_ff. Of two of one name, the first
    one counts.

    Args:
        dataset, activation, architecture: strings; presets of others are left out. Default to
            `None`: all.
        folders: list of strings or paths of folders that hold presets. Defaults to none.

    Returns:
        A dictionary from name to `keras_ff.zoo.Preset`, by dataset, architecture and activation.

    Raises:
        ValueError: if one of `folders` does not exist.

    Example:

    >>> "digits_mlp_tanh" in list_presets(dataset="digits", activation="tanh")
    True
    """
    found = {}
    for folder in _places(folders):
        for path in sorted(folder.iterdir()):
            if is_preset(path) and path.name not in found:
                preset = _readable(path)
                if preset is not None:
                    found[path.name] = preset
    wanted = {"dataset": dataset, "activation": activation, "architecture": architecture}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    chosen = [
        preset
        for preset in found.values()
        if all(getattr(preset, name) == value for name, value in wanted.items())
    ]
    return {preset.name: preset for preset in sorted(chosen, key=_order)}


def get(name_or_path, folders=()):
    """A preset by its name, or by the path of its folder.

    Args:
        name_or_path: string or path. A name that is not among `list_presets` is taken for a path.
        folders: as for `list_presets`.

    Returns:
        A `keras_ff.zoo.Preset`.

    Raises:
        ValueError: if there is no such preset (the nearest ones are named), or it cannot be read.

    Example:

    >>> get("digits_mlp_relu").architecture
    'mlp'
    """
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise ValueError(f"A preset is known by a name or a path. Received: {name_or_path!r}")
    for folder in _places(folders):
        if _is_name(name_or_path) and is_preset(folder / name_or_path):
            return Preset.at(folder / name_or_path)
    path = pathlib.Path(name_or_path)
    if path.is_dir():
        return Preset.at(path)
    names = list(list_presets(folders=folders))
    near = registry.nearest(name_or_path, names, "`keras-ff zoo list` lists all.")
    raise ValueError(
        f"There is no preset of this name, and no folder. {near} Received: {str(name_or_path)!r}"
    )


def packaged():
    """The folder of the presets that come with keras_ff, or `None` where there are none."""
    return next((folder for folder in _PACKAGED if folder.is_dir()), None)


def _is_name(name_or_path):
    """Whether it could be the name of a preset, rather than a path."""
    text = str(name_or_path)
    return text not in ("", ".", "..") and pathlib.PurePath(text).name == text


def _places(folders):
    """The folders in which presets are looked for, in their order."""
    for folder in folders:
        if not pathlib.Path(folder).is_dir():
            raise ValueError(
                f"There is no such folder of presets. Received: folders={list(map(str, folders))}"
            )
    named = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    places = [*folders, *_registered, *named, packaged()]
    places = [pathlib.Path(place) for place in places if place is not None]
    # Those of the environment and registered ones may have gone since.
    return [place for place in places if place.is_dir()]


def _readable(path):
    """The preset in a folder, or None after a warning: one that is damaged hides no other."""
    try:
        return Preset.at(path)
    except ValueError as error:
        warnings.warn(f"A preset was left out: {error}", stacklevel=3)
        return None


def _order(preset):
    return (preset.dataset or "", preset.architecture or "", preset.activation or "", preset.name)
