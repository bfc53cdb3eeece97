"""Preset: a folder with a network's configuration, weights, metadata and card."""

import dataclasses
import json
import pathlib

from keras_ff.presets import checksums, ensembles, loading
from keras_ff.presets.names import (
    CARD_FILE,
    CONFIG_FILE,
    MEMBERS,
    METADATA_FILE,
    READABLE,
    WEIGHTS_FILE,
)
from keras_ff.utils.files import path_of

# Larger ones are not those of a preset, and not worth being read.
LARGEST_METADATA = 10**6


@dataclasses.dataclass(frozen=True)
class Preset:
    """A preset: what it is, at a glance, and where it lies.

    Args:
        name: string, that of its folder.
        dataset: string, name of the dataset it was trained on; `None` where that is not known.
        architecture: string, such as `"mlp"`, or `None`.
        activation: string, name of its activation, or `None` where layers differ.
        validation_accuracy, test_accuracy: floats, fractions, of the files as they are; `None`
            where they were not measured.
        parameters: integer, number of weights.
        storage: `"float32"`, `"float16"`, `"int8"`, `"int6"`; `"members"` for an ensemble, whose
            weights are those of other presets; or `None` for a configuration without weights.
        folder: path.
        metadata: dictionary, all that `metadata.json` holds.

    Example:

    >>> preset = keras_ff.zoo.get("digits_mlp_relu")
    >>> preset.dataset, preset.activation
    ('digits', 'relu')
    >>> preset.test_accuracy > 0.95
    True
    """

    name: str
    dataset: str | None
    architecture: str | None
    activation: str | None
    validation_accuracy: float | None
    test_accuracy: float | None
    parameters: int
    storage: str | None
    folder: pathlib.Path = dataclasses.field(repr=False)
    metadata: dict = dataclasses.field(repr=False)

    @classmethod
    def at(cls, folder):
        """The preset in a folder, of which `metadata.json` alone is read.

        Raises:
            ValueError: if the folder holds no preset, or one that this version cannot read.
        """
        folder = path_of(folder)
        metadata = _metadata(folder)
        return cls(
            name=folder.resolve().name,
            dataset=metadata.get("dataset"),
            architecture=metadata.get("architecture"),
            activation=metadata.get("activation"),
            validation_accuracy=metadata.get("validation_accuracy"),
            test_accuracy=metadata.get("test_accuracy"),
            parameters=metadata["parameters"],
            storage=metadata["storage"],
            folder=folder,
            metadata=metadata,
        )

    def read(self, name):
        """The content of one of the preset's files, as bytes, checked against the metadata.

        Raises:
            ValueError: if the preset has no such file, or it is missing or was changed.
        """
        files = self.metadata["files"]
        if name not in files:
            raise ValueError(
                f"The preset {self.name!r} has no file {name!r}, only "
                f"{', '.join(map(repr, sorted(files)))}. Received: {name!r}"
            )
        return checksums.read(self.folder, name, files[name])

    def check(self):
        """Raise ValueError where a file is missing, was changed, or is none of the preset's.

        Those of an ensemble's members are checked as well.
        """
        for name in self.metadata["files"]:
            self.read(name)
        if self.foreign_files():
            raise ValueError(
                f"The folder {str(self.folder)!r} holds files that are not the preset's. "
                f"Received: {', '.join(self.foreign_files())}"
            )
        for member, _ in self.members():
            member.check()

    def foreign_files(self):
        """Names of what lies in the folder and is not the preset's."""
        own = {METADATA_FILE, *self.metadata["files"]}
        return sorted({path.name for path in self.folder.iterdir()} - own)

    def members(self):
        """The members of an ensemble, a list of pairs, a `Preset` and its share; else none."""
        return ensembles.members_of(self) if self.storage == MEMBERS else []

    def model(self, load_weights=True, num_classes=None, readout=None):
        """The network; arguments, return value and errors as for `FFModel.from_preset`.

        That of an ensemble is an `FFEnsemble`, of which neither classes nor readout can be changed.
        """
        if self.storage == MEMBERS:
            if num_classes is not None or readout is not None:
                raise ValueError(
                    f"{self.name!r} is an ensemble: change classes or readout of its members. "
                    f"Received: num_classes={num_classes}, readout={readout!r}"
                )
            return ensembles.model_of(self, load_weights)
        if load_weights and self.storage is None:
            raise ValueError(
                f"The preset {self.name!r} is a configuration without weights: load it with "
                "`load_weights=False` and train it. Received: load_weights=True"
            )
        # Both files are checked before either is made sense of.
        config = self.read(CONFIG_FILE)
        weights = self.read(WEIGHTS_FILE) if load_weights else None
        model = loading.model_of(config, weights, str(self.folder))
        if num_classes in (None, model.num_classes) and readout is None:
            return model
        return model.rebuild(num_classes, readout)

    def card(self):
        """The card, as Markdown."""
        return self.read(CARD_FILE).decode("utf-8")

    def data_options(self):
        """How the preset's data are prepared, as of `DataConfig.to_dict`, or `None`."""
        return self.metadata.get("data")

    def load_data(self, data_dir=None):
        """The preset's dataset, prepared and split as it was for training.

        Args:
            data_dir: folder of the prepared datasets, as for `keras_ff.datasets.load`. Defaults
                to `None`.

        Returns:
            A tuple (train, validation, test), as of `keras_ff.datasets.load`.

        Raises:
            ValueError: if the preset does not say on what it was trained, or as for
                `keras_ff.datasets.load`.

        Example:

        >>> train, validation, test = keras_ff.zoo.get("digits_mlp_relu").load_data()
        >>> test.element_spec[0].shape
        TensorShape([None, 8, 8, 1])
        """
        from keras_ff.datasets import DataConfig

        options = self.data_options()
        if options is None:
            raise ValueError(
                f"The preset {self.name!r} does not say on what data it was trained: load them "
                "with `keras_ff.datasets.load`. Received: metadata without 'data'"
            )
        return DataConfig.from_dict(options).load(data_dir=data_dir)

    @property
    def bytes(self):
        """Size of all files together."""
        return sum(described["bytes"] for described in self.metadata["files"].values())


def _metadata(folder):
    path = folder / METADATA_FILE
    if not path.is_file():
        raise ValueError(
            f"There is no preset in {str(folder)!r}. Received: a folder without {METADATA_FILE}"
        )
    if path.stat().st_size > LARGEST_METADATA:
        raise ValueError(
            f"{str(path)!r} is not that of a preset. Received: {path.stat().st_size} bytes"
        )
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}.") from error
    _check_metadata(metadata, path)
    return metadata


def _check_metadata(metadata, path):
    wanted = isinstance(metadata, dict) and metadata.get("format")
    if wanted not in READABLE or isinstance(wanted, bool):
        raise ValueError(
            f"{str(path)!r} is not that of a preset which this version of keras_ff reads, whose "
            f"'format' is 1 or 2. Received: format={wanted!r}"
        )
    needed = ("parameters", "storage", "family", "locality")
    if not isinstance(metadata.get("parameters"), int) or not set(needed) <= set(metadata):
        raise ValueError(
            f"{str(path)!r} must tell the preset's {', '.join(map(repr, needed))}. "
            f"Received: {sorted(metadata)}"
        )
    files = metadata.get("files")
    if not isinstance(files, dict) or not {CONFIG_FILE, CARD_FILE} <= set(files):
        raise ValueError(
            f"{str(path)!r} must list the preset's 'files', {CONFIG_FILE} and {CARD_FILE} among "
            f"them. Received: files={files!r}"
        )
    for name, described in files.items():
        if not checksums.is_plain_name(name):
            raise ValueError(
                f"{str(path)!r} names a file outside of the preset's folder. Received: {name!r}"
            )
        if not isinstance(described, dict) or set(described) != {"bytes", "sha256"}:
            raise ValueError(
                f"{str(path)!r} must tell 'bytes' and 'sha256' of {name!r}. Received: {described!r}"
            )
