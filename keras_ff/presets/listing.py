"""Presets by their names."""

import warnings

from keras_ff.presets import folders as preset_folders
from keras_ff.presets.preset import Preset


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
    for path in preset_folders.paths(folders):
        if path.name not in found and (preset := _readable(path)) is not None:
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
    return Preset.at(preset_folders.find(name_or_path, folders))


def model_of_class(kind, name_or_path, *arguments):
    """The model of a preset, which must be of a class.

    Args:
        kind: class of Keras models.
        name_or_path: as for `keras_ff.zoo.get`.
        *arguments: those of `keras_ff.zoo.Preset.model`.

    Returns:
        A model of that class.

    Raises:
        ValueError: if the preset holds a model of another class, or as for the two.
    """
    model = get(name_or_path).model(*arguments)
    if not isinstance(model, kind):
        own = type(model).__name__
        raise ValueError(
            f"The preset holds a {own}, not a {kind.__name__}: load it by {own}.from_preset. "
            f"Received: {str(name_or_path)!r}"
        )
    return model


def _readable(path):
    """The preset in a folder, or None after a warning: one that is damaged hides no other."""
    try:
        return Preset.at(path)
    except ValueError as error:
        warnings.warn(f"A preset was left out: {error}", stacklevel=3)
        return None


def _order(preset):
    return (preset.dataset or "", preset.architecture or "", preset.activation or "", preset.name)
