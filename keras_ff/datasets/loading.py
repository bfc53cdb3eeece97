"""Image data sets as `tf.data` pipelines: split, standardised, shuffled and augmented by a seed."""

from keras_ff.datasets import arguments, digits, pipelines, splits, standardization, tfds_images
from keras_ff.datasets.information import DatasetInfo
from keras_ff.utils import checks, extras

# The part that becomes the test set where a dataset comes without one.
TEST_SHARE = 0.2


def info(name="digits", data_dir=None):
    """Image shape, classes and version of a dataset, without reading or downloading its images.

    Args:
        name: string. As in `keras_ff.datasets.load`. Defaults to `"digits"`.
        data_dir: string or path. As in `keras_ff.datasets.load`. Defaults to `None`.

    Returns:
        A `DatasetInfo`.

    Raises:
        ValueError: if the name is unknown, or the dataset is not one of classified images.
        ImportError: if the extra `datasets` is not installed; it is a `ValueError` as well.

    Example:

    >>> keras_ff.datasets.info("digits").image_shape
    (8, 8, 1)
    """
    _check_name(name)
    if name == digits.NAME:
        return digits.info()
    builder = tfds_images.builder_of(name, data_dir)
    image, label = tfds_images.features_of(builder, name)
    return DatasetInfo(
        name=name,
        image_shape=tuple(image.shape),
        num_classes=label.num_classes,
        class_names=tuple(label.names),
        version=str(builder.version),
    )


def is_prepared(name="digits", data_dir=None):
    """Whether a dataset can be loaded without a download.

    Args:
        name: string. As in `keras_ff.datasets.load`. Defaults to `"digits"`.
        data_dir: string or path. As in `keras_ff.datasets.load`. Defaults to `None`.

    Returns:
        A boolean; false for names that TFDS does not know here.

    Raises:
        ImportError: if the extra `datasets` is not installed; it is a `ValueError` as well.

    Example:

    >>> keras_ff.datasets.is_prepared("digits")
    True
    """
    _check_name(name)
    if name == digits.NAME:
        return True
    try:
        return tfds_images.builder_of(name, data_dir).is_prepared()
    except ValueError:
        return False


def load(
    name="digits",
    batch_size=128,
    *,
    validation_share=1 / 6,
    samples=None,
    seed=0,
    standardize=True,
    augment=None,
    image_size=None,
    data_dir=None,
    initial_epoch=0,
):
    """Load an image dataset as three pipelines: training, validation and test.

    `"digits"` comes with scikit-learn (1,797 images of 8 × 8 × 1) and needs no download. Every
    other name is that of a dataset of TensorFlow Datasets (TFDS): `"mnist"`, `"fashion_mnist"`,
    `"cifar10"`, `"cifar100"`, `"svhn_cropped"` or any other set of classified images. TFDS
    downloads it once.

    All images are held in memory, as uint8: one byte per pixel and channel, twice that for a moment
    while they are read and split. Datasets that do not fit are not for this function.

    The validation part is cut from the training set, never from the test set, with the classes in
    their proportions. The test part is TFDS's `test` split; where that is missing or has no
    labels, `validation`; where that is missing too, and for `"digits"`, a fifth of the images,
    cut in the same manner. `seed` decides all cuts.

    Each iteration over the training pipeline is an epoch: the first is epoch `initial_epoch`, the
    next `initial_epoch + 1`, and so on. Order and augmentation depend on `seed` and the epoch
    alone, so that a training resumed at epoch e with `initial_epoch=e` sees the very batches that
    it would have seen without the interruption. An iteration counts as soon as its first batch is
    drawn, even if it is then stopped; to look at the data, load another pipeline.

    Args:
        name: string. `"digits"` or the name of a TFDS dataset, with configuration and version if
            you like: `"emnist/letters"`, `"mnist:3.0.1"`. Defaults to `"digits"`.
        batch_size: integer of at least 1. The last batch of a pipeline may be smaller. Defaults
            to `128`.
        validation_share: float in [0, 1). Share of the training set that becomes the validation
            part; 0 leaves the training set whole. Defaults to `1 / 6` (10,000 of MNIST's 60,000).
        samples: integer of at least 1, or `None`. Size of the training set, the validation part
            included: as many of its samples, drawn by `seed` with the classes in their
            proportions. The test part stays whole. Defaults to `None`: all of them.
        seed: integer from 0 to 2³² − 1. Decides the cuts, the order of the training samples and
            their augmentation. Defaults to `0`.
        standardize: boolean. Whether to subtract each channel's mean and divide by its standard
            deviation, both measured on the training part without the validation part. Otherwise
            pixels lie in [0, 1]. Defaults to `True`.
        augment: dictionary or `None`: how to vary the training images, each one by itself and
            anew in every epoch. `{"shift": n}` moves an image by up to n pixels along both axes
            and repeats the pixels of its edge; `{"rotate": d}` turns it by up to d degrees either
            way, interpolated linearly; `{"flip": True}` mirrors it left to right with probability
            1/2, and `{"flip": "alternating"}` in every other epoch, half of the images in even
            ones and the others in odd ones, as `seed` draws, so that two epochs show every image
            both ways (Jordan 2024, https://arxiv.org/abs/2404.00498); `{"crop": s}` enlarges a
            part of it, of a random share of its area from s to 1 and sides in a ratio from 3/4 to
            4/3 times its own; `{"colors": c}` multiplies brightness, contrast and saturation by
            factors from 1 − c to 1 + c and turns hues by up to c/2 of their circle (hues and
            saturation of images with three channels alone); `{"erase": n}` gives a square of n
            pixels per side, with its middle anywhere in the image, the image's mean colour.
            Several can be given. Defaults to `None`.
        image_size: tuple (height, width) or `None`. Size to which images are resized
            (bilinearly, with antialiasing); needed where they differ in size. Defaults to `None`.
        data_dir: string or path. TFDS's folder. Defaults to `None`: the environment variable
            `TFDS_DATA_DIR`, else TFDS's default.
        initial_epoch: integer of at least 0. Epoch of the first iteration over the training
            pipeline. Defaults to `0`.

    Returns:
        A tuple (train, validation, test) of `tf.data.Dataset`s of batches (x, y): x float32 of
        shape (batch, height, width, channels), y int32 of shape (batch,). Only train is shuffled
        and augmented. validation is `None` where `validation_share` is 0.

    Raises:
        ValueError: if an argument is out of range, the name is unknown, the dataset is not one of
            classified images or can neither be found nor downloaded, images differ in size and
            `image_size` is missing, or there are too few samples to cut a part from.
        ImportError: if the extra `datasets` is not installed; it is a `ValueError` as well.

    Example:

    >>> train, validation, test = keras_ff.datasets.load("digits", batch_size=100)
    >>> train.element_spec[0].shape
    TensorShape([None, 8, 8, 1])
    >>> len(train), len(validation), len(test)
    (12, 3, 4)
    """
    _check_name(name)
    batch_size = arguments.integer(batch_size, "batch_size", minimum=1)
    validation_share = checks.share(validation_share, "validation_share")
    if samples is not None:
        samples = arguments.integer(samples, "samples", minimum=1)
    seed = arguments.integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    initial_epoch = arguments.integer(initial_epoch, "initial_epoch", minimum=0)
    image_size = arguments.size(image_size)
    augment = arguments.augmentation(augment)

    if name == digits.NAME:
        training, test, white = digits.samples(image_size), None, digits.WHITE
    else:
        training, test, white = *tfds_images.samples(name, data_dir, image_size), 255
    _check_pixels(augment, training[0].shape)
    if test is None:
        size = round(TEST_SHARE * len(training[1]))
        training, test = splits.cut(*training, size, seed, "A test set")
    training = _some(training, samples, seed)
    validation = None
    if validation_share:
        size = round(validation_share * len(training[1]))
        training, validation = splits.cut(*training, size, seed, "A validation part")
    to_float = standardization.to_float(training[0], white, standardize)

    return (
        pipelines.shuffled(*training, batch_size, seed, initial_epoch, augment, to_float),
        None if validation is None else pipelines.in_order(*validation, batch_size, to_float),
        pipelines.in_order(*test, batch_size, to_float),
    )


def _check_name(name):
    """Raise an error where a name is none, or what loads datasets is not installed."""
    arguments.check_name(name)
    needed = ["tensorflow", "sklearn"]
    if name != digits.NAME:
        needed.append("tensorflow_datasets")
    extras.require("Datasets by name", "datasets", *needed)


def _some(training, samples, seed):
    """As many samples of the training set, or a ValueError where it has fewer."""
    count = len(training[1])
    if samples is None or samples == count:
        return training
    if samples > count:
        raise ValueError(f"The training set has {count} samples. Received: samples={samples}")
    _, training = splits.cut(*training, samples, seed, "A part of the training set")
    return training


def _check_pixels(augment, shape):
    smaller_side = min(shape[1:3])
    for name in ("shift", "erase"):
        if augment[name] >= smaller_side:
            raise ValueError(
                f"The augmentation {name!r} must be below the images' smaller side, "
                f"{smaller_side}. Received: {name}={augment[name]}"
            )
