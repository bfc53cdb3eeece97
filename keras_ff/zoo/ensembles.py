"""Trained networks become the preset of an ensemble."""

import hashlib

import numpy as np

from keras_ff.datasets import DataConfig
from keras_ff.models.ff_ensemble import FFEnsemble
from keras_ff.presets import ensembles, listing, metadata, saving
from keras_ff.presets.names import CONFIG_FILE, MEMBERS
from keras_ff.utils.files import path_of
from keras_ff.zoo import measuring


def publish_ensemble(path, members, shares=None, data_dir=None, **known):
    """Make a preset with a card of an ensemble of presets.

    It holds their names, their shares and the sha256 of their files, and no weights: a member that
    is missing or was changed is refused. The test set decides nothing.

    Args:
        path: string or path of the preset's folder, whose name is the preset's. One that holds a
            preset is replaced.
        members: list of names of presets with weights, at least two. They are looked for beside
            the ensemble's folder, and then as by `keras_ff.zoo.list_presets`, whenever it is
            loaded. All must have been measured on the same samples, prepared alike: where a
            validation part is cut from the training set, its share and the seed decide which.
        shares: list of numbers, as for `keras_ff.models.FFEnsemble`. Defaults to `None`: equal
            ones.
        data_dir: as for `keras_ff.datasets.load`. Defaults to `None`.
        **known: further entries of the metadata, see `keras_ff.presets.metadata.KNOWN`, such as
            `description`.

    Returns:
        The `keras_ff.zoo.Preset`.

    Raises:
        ValueError: if there is no such preset, or none that can be found by its name, one is an
            ensemble or a configuration without weights, two are the same network, one has the
            ensemble's name, or they were measured on other samples than one another; or as for
            `FFEnsemble` and `keras_ff.zoo.save`.

    Example:

    >>> names = ["digits_mlp_relu", "digits_mlp_tanh"]
    >>> preset = publish_ensemble("presets/digits_ensemble_mixed", names)
    >>> preset.test_accuracy > 0.95
    True
    >>> len(preset.model().members)
    2
    """
    path = path_of(path).resolve()
    presets = _found(members, path)
    _check_held_out(presets, data_dir)
    model = FFEnsemble([preset.model() for preset in presets], shares)
    data = DataConfig.from_dict(presets[0].data_options())
    _, validation, test = data.load(data_dir=data_dir)
    config = {
        "members": [
            {"preset": preset.name, "share": share, "sha256": ensembles.identity(preset)}
            for preset, share in zip(presets, model.shares, strict=True)
        ]
    }
    first = presets[0].metadata
    found = {
        "dataset": data.dataset,
        "dataset_version": first.get("dataset_version"),
        "architecture": "ensemble",
        "data": data.to_dict(),
        "protocol": first.get("protocol"),
        "members": [
            {
                "name": preset.name,
                "share": share / sum(model.shares),
                "validation_accuracy": preset.validation_accuracy,
                "test_accuracy": preset.test_accuracy,
            }
            for preset, share in zip(presets, model.shares, strict=True)
        ],
        "validation_accuracy": measuring.accuracy(model, validation),
        "test_accuracy": measuring.accuracy(model, test),
    }
    entries = metadata.of_model(model, known={**found, **known})
    files = {CONFIG_FILE: saving.as_json(config)}
    return saving.write(path, files, {"storage": MEMBERS, **entries})


def _found(names, path):
    """The presets of an ensemble at `path`, checked to be what can be found again."""
    presets = [ensembles.single(listing.get(name, ensembles.beside(path))) for name in names]
    for preset in presets:
        if preset.name == path.name:
            raise ValueError(
                "An ensemble needs a name of its own, not that of a member. "
                f"Received: {path.name!r}"
            )
        others = listing.list_presets(folders=ensembles.beside(path))
        if preset.name not in others or not preset.folder.samefile(others[preset.name].folder):
            raise ValueError(
                "Members are found by their names: put them beside the ensemble, or register the "
                f"folder that they lie in. Received: {str(preset.folder)!r}"
            )
    identities = [str(ensembles.identity(preset)) for preset in presets]
    if len(set(identities)) < len(identities):
        raise ValueError(
            "Two members of an ensemble are the same network. "
            f"Received: {', '.join(preset.name for preset in presets)}"
        )
    return presets


def _check_held_out(presets, data_dir):
    """Raise ValueError where presets are not measured on the same samples, prepared alike."""
    first, *others = [_held_out(preset, data_dir) for preset in presets]
    for preset, other in zip(presets[1:], others, strict=True):
        if other != first:
            options = [one.data_options() for one in (presets[0], preset)]
            differing = {name: [one.get(name) for one in options] for name in options[0]}
            differences = [f"{name}={one}" for name, one in differing.items() if one[0] != one[1]]
            raise ValueError(
                "Members of an ensemble must be measured on the same samples, prepared alike. "
                f"Received: {presets[0].name!r} and {preset.name!r} with {', '.join(differences)}"
            )


def _held_out(preset, data_dir):
    """What identifies a preset's validation part and test set."""
    _, *parts = preset.load_data(data_dir)
    return [None if part is None else _digest(part) for part in parts]


def _digest(data):
    """The sha256 of all samples and of all labels, however they are divided into batches."""
    samples, labels = hashlib.sha256(), hashlib.sha256()
    for x, y in data.as_numpy_iterator():
        samples.update(np.ascontiguousarray(x))
        labels.update(np.ascontiguousarray(y))
    return samples.hexdigest(), labels.hexdigest()
