"""Where presets lie: registered folders, those of the environment, the packaged ones."""

import os
import pathlib

from keras_ff.presets.names import METADATA_FILE
from keras_ff.utils import registry
from keras_ff.utils.files import path_of

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
    >>> keras_ff.zoo.list_presets()["small"].parameters
    602
    """
    path = path_of(folder).resolve()
    if not path.is_dir():
        raise ValueError(f"There is no such folder of presets. Received: folder={str(folder)!r}")
    if path in _registered:
        _registered.remove(path)
    _registered.insert(0, path)


def is_preset(folder):
    """Whether a folder has what a preset has, readable or not."""
    return (path_of(folder) / METADATA_FILE).is_file()


def paths(folders=()):
    """The folders of all presets, readable or not, in the order in which they are looked for.

    Args:
        folders: list of strings or paths of folders that hold presets. Defaults to none.

    Raises:
        ValueError: if one of `folders` does not exist.
    """
    return [
        path for folder in _places(folders) for path in sorted(folder.iterdir()) if is_preset(path)
    ]


def find(name_or_path, folders=()):
    """The folder of a preset.

    Args:
        name_or_path: string or path. A name that is not among `paths` is taken for a path.
        folders: as for `paths`.

    Raises:
        ValueError: if there is no such folder (the presets with the nearest names are named), or
            the name may mean two presets: one that is found by its name, and a folder here.
    """
    if not isinstance(name_or_path, (str, os.PathLike)):
        raise ValueError(f"A preset is known by a name or a path. Received: {name_or_path!r}")
    path, named = path_of(name_or_path), by_name(name_or_path, folders)
    if named is not None:
        _check_alone(path, named, folders)
        return named
    if path.is_dir():
        return path
    raise unknown(name_or_path, folders)


def by_name(name, folders=()):
    """The folder of a preset of that name, as `paths` has it, or `None`."""
    found = (folder / name for folder in _places(folders) if _is_name(name))
    return next((path for path in found if is_preset(path)), None)


def unknown(name, folders=()):
    """The ValueError of a preset that is not found, which names those with the nearest names."""
    names = [preset.name for preset in paths(folders)]
    near = registry.nearest(name, names, "`keras-ff zoo list` lists all.")
    return ValueError(
        f"There is no preset of this name, and no folder. {near} Received: {str(name)!r}"
    )


def _check_alone(path, named, folders):
    """Raise ValueError where a name may also mean another preset, in the current folder."""
    if not is_preset(path) or path.samefile(named):
        return
    if named.parent in map(path_of, folders):  # a folder that was asked for says which
        return
    here = os.path.join(os.curdir, path)  # noqa: PTH118, since pathlib would drop the dot
    raise ValueError(
        f"There are two presets of this name: say {here!r} for the folder here, or "
        f"{str(named)!r} for the other. Received: {str(path)!r}"
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
        if not path_of(folder).is_dir():
            raise ValueError(
                f"There is no such folder of presets. Received: folders={list(map(str, folders))}"
            )
    named = [folder for folder in os.environ.get(VARIABLE, "").split(os.pathsep) if folder]
    places = [*folders, *_registered, *named, packaged()]
    places = [path_of(place) for place in places if place is not None]
    # Those of the environment and registered ones may have gone since.
    return [place for place in places if place.is_dir()]
