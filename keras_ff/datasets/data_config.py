"""DataConfig: which dataset, and how it is prepared."""

import dataclasses

from keras_ff.datasets import arguments, digits, loading
from keras_ff.utils import checks, files
from keras_ff.version import __version__

# Options that vary training images, with the values by which images stay as they are.
VARIATIONS = {
    "shift": 0,
    "rotate": None,
    "flip": False,
    "crop": None,
    "colors": None,
    "erase": None,
}


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which dataset, and how it is prepared: all that decides which batches a model sees.

    Args:
        dataset: string, a name for `keras_ff.datasets.load`.
        batch_size: integer.
        validation_share: float in [0, 1), share of the training samples kept for validation.
        samples: integer, size of the training set, its validation part included, or `None` for
            all of it.
        standardize: boolean. Whether channels are standardised.
        shift, rotate, flip, crop, colors, erase: how training images vary, as `augment` of
            `keras_ff.datasets.load` says; 0, `False` or `None` for not at all.
        image_size: tuple (height, width) to resize images to, or `None`.
        seed: integer: of the split, the order of samples and their variation.

    Raises:
        ValueError: if a value is out of its range.

    Example:

    >>> train, validation, test = DataConfig("digits", batch_size=100).load()
    >>> len(train), len(validation), len(test)
    (12, 3, 4)
    """

    dataset: str = digits.NAME
    batch_size: int = 128
    validation_share: float = 1 / 6
    samples: int | None = None
    standardize: bool = True
    shift: int = 0
    rotate: float | None = None
    flip: bool | str = False
    crop: float | None = None
    colors: float | None = None
    erase: int | None = None
    image_size: tuple | None = None
    seed: int = 0

    def __post_init__(self):
        arguments.check_name(self.dataset)
        arguments.integer(self.batch_size, "batch_size", minimum=1)
        arguments.integer(self.seed, "seed", minimum=0, maximum=2**32 - 1)
        checks.share(self.validation_share, "validation_share")
        if self.samples is not None:
            arguments.integer(self.samples, "samples", minimum=1)
        arguments.augmentation(self._augment())
        object.__setattr__(self, "image_size", arguments.size(self.image_size))

    @classmethod
    def from_dict(cls, options):
        """The configuration that `to_dict` gave, or a ValueError where it is of another kind."""
        try:
            return cls(**options)
        except TypeError as error:
            raise ValueError(
                f"This is not a {cls.__name__} of keras_ff {__version__} ({error}). "
                f"Received: {options!r}"
            ) from error

    def to_dict(self):
        """The configuration as JSON holds it."""
        return files.for_json(dataclasses.asdict(self))

    def load(self, initial_epoch=0, data_dir=None):
        """Training, validation and test pipelines, the first one from epoch `initial_epoch` on.

        Args:
            initial_epoch, data_dir: as for `keras_ff.datasets.load`. Default to `0` and `None`.

        Returns:
            A tuple (train, validation, test), as of `keras_ff.datasets.load`.

        Raises:
            ValueError: as for `keras_ff.datasets.load`.
        """
        return loading.load(
            self.dataset,
            self.batch_size,
            validation_share=self.validation_share,
            samples=self.samples,
            seed=self.seed,
            standardize=self.standardize,
            augment=self._augment(),
            image_size=self.image_size,
            data_dir=data_dir,
            initial_epoch=initial_epoch,
        )

    def _augment(self):
        return {name: value for name in VARIATIONS if (value := getattr(self, name))}
