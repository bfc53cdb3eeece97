"""A model goes out as a preset: configuration, weights, metadata, card."""

import contextlib
import glob
import json
import pathlib
import shutil
import tempfile

import keras

from keras_ff.presets import checksums, metadata, storage
from keras_ff.presets.card import card
from keras_ff.presets.folders import is_preset
from keras_ff.presets.names import CARD_FILE, CONFIG_FILE, FORMAT, METADATA_FILE, WEIGHTS_FILE
from keras_ff.presets.preset import Preset
from keras_ff.utils.files import held, path_of


def save(model, path, weights="float16", config=None, **known):
    """Write a model as a preset, which `FFModel.from_preset` reads.

    Nothing is measured; `publish` does that as well.

    Args:
        model: a built `FFModel`.
        path: string or path of the preset's folder, whose name is the preset's. One that holds a
            preset is replaced.
        weights: how matrices are stored: `"float32"`, `"float16"`, or in steps of a scale of each
            output unit, of which its largest weight has 127, `"int8"`, or 31, `"int6"`; `None` for
            a configuration without weights. Defaults to `"float16"`.
        config: the `TrainingConfig` that trains the model, so that `keras-ff zoo train` can.
            Defaults to `None`.
        **known: further entries of the metadata, see `keras_ff.presets.metadata.KNOWN`.

    Returns:
        The `Preset`.

    Raises:
        ValueError: if the model is an ensemble or not built, the storage is unknown, weights are
            not finite or too large for it, an entry is unknown, or the folder holds anything but a
            preset.

    Example:

    >>> model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=10)
    >>> model.build((None, 8, 8, 1))
    >>> preset = save(model, "presets/small", weights="int8", description="An untrained network.")
    >>> preset.name, preset.parameters, preset.storage
    ('small', 602, 'int8')
    """
    files = contents(model, weights)
    return write(path, files, {"storage": weights, **metadata.of_model(model, config, known)})


def contents(model, weights):
    """A model's configuration and weights as files: a dictionary from name to bytes."""
    if hasattr(model, "members"):
        raise ValueError(
            "An ensemble has no weights of its own: save its members, and make a preset of these "
            f"by `keras_ff.zoo.publish_ensemble`. Received: {model!r}"
        )
    if not model.built:
        raise ValueError(
            "The model must be built before it becomes a preset: call `build` or `fit` first. "
            f"Received: {model!r}"
        )
    files = {CONFIG_FILE: as_json(keras.saving.serialize_keras_object(model))}
    if weights is not None:
        files[WEIGHTS_FILE] = storage.packed(model, weights)
    return files


def write(path, files, metadata):
    """Write a preset's folder, whole or not at all.

    Args:
        path: string or path.
        files: dictionary from name to bytes, without metadata and card.
        metadata: dictionary, without name, format and files.

    Returns:
        The `Preset`.

    Raises:
        ValueError: if the folder holds anything but a preset.
    """
    path = path_of(path).resolve()
    _check_replaceable(path)
    metadata = {"format": FORMAT, "name": path.name, **metadata}
    described = {name: checksums.description(content) for name, content in files.items()}
    text = card({**metadata, "files": described}).encode("utf-8")
    files = {**files, CARD_FILE: text}
    described[CARD_FILE] = checksums.description(text)
    files[METADATA_FILE] = as_json({**metadata, "files": described})
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}."
    _remove_left(path.parent, prefix)
    with (
        tempfile.TemporaryDirectory(prefix=prefix, dir=path.parent) as temporary,
        held(pathlib.Path(temporary)),
    ):
        new = pathlib.Path(temporary) / "new"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if path.exists():
            path.replace(pathlib.Path(temporary) / "old")
        new.replace(path)
    return Preset.at(path)


def _remove_left(folder, prefix):
    """Remove what processes that were killed have left of their writing, and nobody holds."""
    for left in folder.glob(f"{glob.escape(prefix)}????????"):
        with contextlib.suppress(ValueError, OSError), held(left) as is_held:
            if is_held and {each.name for each in left.iterdir()} <= {"new", "old"}:
                shutil.rmtree(left)


def as_json(content):
    """A dictionary as the content of a JSON file."""
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def _check_replaceable(path):
    """Raise ValueError where something lies at `path` that is not a preset and nothing else."""
    if not path.exists():
        return
    if not path.is_dir():
        raise ValueError(f"A preset needs a folder. Received: the file {str(path)!r}")
    if not any(path.iterdir()):
        return
    if not is_preset(path):
        raise ValueError(
            f"The folder {str(path)!r} holds something, and it is not a preset: choose another, "
            "or one that is empty."
        )
    foreign = Preset.at(path).foreign_files()
    if foreign:
        raise ValueError(
            f"The preset in {str(path)!r} cannot be replaced, since its folder holds other files "
            f"as well: {', '.join(foreign)}. Choose another folder."
        )
