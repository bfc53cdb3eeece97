"""Presets of ensembles: no weights of their own, but the names of other presets."""

import json

import keras

from keras_ff.presets import folders
from keras_ff.presets.names import CONFIG_FILE, MEMBERS, WEIGHTS_FILE
from keras_ff.utils import registry


def members_of(preset):
    """The members of an ensemble.

    Args:
        preset: a `keras_ff.zoo.Preset` whose storage is `"members"`.

    Returns:
        A list of pairs, a `Preset` and its share.

    Raises:
        ValueError: if the configuration cannot be read, or a member is missing or another one
            than the ensemble was made of.
    """
    config = preset.read(CONFIG_FILE)
    try:
        described = [
            (str(one["preset"]), float(one["share"]), dict(one["sha256"]))
            for one in json.loads(config)["members"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"The configuration of {str(preset.folder)!r} is not that of an ensemble: {error}."
        ) from error
    found = []
    for name, share, sha256 in described:
        around = beside(preset.folder.resolve())
        # By its name alone: a path in a configuration is not followed.
        folder = folders.by_name(name, around)
        if folder is None:
            raise folders.unknown(name, around)
        member = single(type(preset).at(folder))
        if identity(member) != sha256:
            raise ValueError(
                f"The ensemble {preset.name!r} was made of another preset {name!r} than the one "
                f"in {str(member.folder)!r}: put that one beside the ensemble. "
                f"Received: sha256 {identity(member)}, not {sha256}"
            )
        found.append((member, share))
    return found


def model_of(preset, load_weights):
    """The `FFEnsemble` of a preset, compiled to tell accuracy."""
    members = members_of(preset)
    model = registry.registered_class("FFEnsemble")(
        [member.model(load_weights) for member, _ in members], [share for _, share in members]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, metrics=["accuracy"])
    return model


def beside(path):
    """The folder that a preset's folder lies in, in a list; none where there is none."""
    return [path.parent] if path.parent.is_dir() else []


def single(preset):
    """A preset, which must be that of one trained network."""
    if preset.storage in (None, MEMBERS):
        kind = "a configuration without weights" if preset.storage is None else "an ensemble"
        raise ValueError(
            f"Members of an ensemble are single networks with weights. Received: {preset.name!r}, "
            f"{kind}"
        )
    return preset


def identity(preset):
    """What identifies a network: the sha256 of its files."""
    files = preset.metadata["files"]
    return {name: files[name]["sha256"] for name in (CONFIG_FILE, WEIGHTS_FILE)}
