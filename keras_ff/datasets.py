"""Image data sets as `tf.data` pipelines: split, standardised, shuffled and augmented by a seed."""

import collections.abc
import dataclasses
import difflib
import numbers
import urllib.parse

import numpy as np

from keras_ff import parts

EMBEDDED = "digits"
AUGMENTATIONS = ("flip", "shift")
# The part that becomes the test set where a dataset comes without one.
TEST_SHARE = 0.2
# scikit-learn's digits have 17 grey levels. In steps of 15 they fill the range of uint8.
DIGITS_STEP = 15
DIGITS_WHITE = 16 * DIGITS_STEP


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is known of a dataset before its images are read.

    Args:
        name: string, the name the dataset is loaded by.
        image_shape: tuple (height, width, channels); height and width are `None` where the
            images differ in size.
        num_classes: integer.
        class_names: tuple of strings, the name of class 0 first.
        version: string: the version of the TFDS dataset, or that of scikit-learn for `"digits"`.
    """

    name: str
    image_shape: tuple
    num_classes: int
    class_names: tuple
    version: str


def info(name="digits", data_dir=None):
    """Image shape, classes and version of a dataset, without reading or downloading its images.

    Args:
        name: string. As in `keras_ff.datasets.load`. Defaults to `"digits"`.
        data_dir: string or path. As in `keras_ff.datasets.load`. Defaults to `None`.

    Returns:
        A `DatasetInfo`.

    Raises:
        ValueError: if the name is unknown, or the dataset is not one of classified images.

    Example:

    >>> keras_ff.datasets.info("digits").image_shape
    (8, 8, 1)
    """
    _check_name(name)
    if name == EMBEDDED:
        return _digits_info()
    builder = _builder(name, data_dir)
    image, label = _features(builder, name)
    return DatasetInfo(
        name=name,
        image_shape=tuple(image.shape),
        num_classes=label.num_classes,
        class_names=tuple(label.names),
        version=str(builder.version),
    )


def load(
    name="digits",
    batch_size=128,
    *,
    validation_share=1 / 6,
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

    All images are held in memory, as uint8: one byte a pixel and channel, twice that for a moment
    while they are read and split. Datasets that do not fit are not for this function.

    The validation part is cut from the training set, never from the test set, with the classes in
    their proportions. The test part is TFDS's `test` split; where that is missing or has no
    labels, `validation`; where that is missing too, and for `"digits"`, a fifth of the images,
    cut in the same manner. `seed` decides both cuts.

    Each iteration over the training pipeline is an epoch: the first is epoch `initial_epoch`, the
    next `initial_epoch + 1`, and so on. Order and augmentation depend on `seed` and the epoch
    alone, so that a training resumed at epoch e with `initial_epoch=e` sees the very batches that
    it would have seen without the interruption. An iteration counts as soon as its first batch is
    drawn, even if it is then broken off; take a look at the data from a pipeline of its own.

    Args:
        name: string. `"digits"` or the name of a TFDS dataset, with configuration and version if
            you like: `"emnist/letters"`, `"mnist:3.0.1"`. Defaults to `"digits"`.
        batch_size: integer of at least 1. The last batch of a pipeline may be smaller. Defaults
            to `128`.
        validation_share: float in [0, 1). Share of the training set that becomes the validation
            part; 0 leaves the training set whole. Defaults to `1 / 6` (10,000 of MNIST's 60,000).
        seed: integer from 0 to 2³² − 1. Decides the cuts, the order of the training samples and
            their augmentation. Defaults to `0`.
        standardize: boolean. Whether to subtract each channel's mean and divide by its standard
            deviation, both measured on the training part without the validation part. Otherwise
            pixels lie in [0, 1]. Defaults to `True`.
        augment: dictionary or `None`: how to vary the training images, each one by itself and
            anew in every epoch. `{"shift": n}` moves an image by up to n pixels along both axes
            and fills with pixels of value 0 (before standardisation); `{"flip": True}` mirrors
            an image left to right with probability 1/2. Both can be given. Defaults to `None`.
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

    Example:

    >>> train, validation, test = keras_ff.datasets.load("digits", batch_size=100)
    >>> train.element_spec[0].shape
    TensorShape([None, 8, 8, 1])
    >>> len(train), len(validation), len(test)
    (12, 3, 4)
    """
    _check_name(name)
    batch_size = _integer(batch_size, "batch_size", minimum=1)
    validation_share = parts.share(validation_share, "validation_share")
    seed = _integer(seed, "seed", minimum=0, maximum=2**32 - 1)
    initial_epoch = _integer(initial_epoch, "initial_epoch", minimum=0)
    image_size = _checked_size(image_size)
    augment = _checked_augmentation(augment)

    if name == EMBEDDED:
        training, test, white = _digits(image_size), None, DIGITS_WHITE
    else:
        training, test, white = *_from_tfds(name, data_dir, image_size), 255
    _check_shift(augment, training[0].shape)
    if test is None:
        training, test = _cut(*training, TEST_SHARE, seed, "A test set")
    validation = None
    if validation_share:
        training, validation = _cut(*training, validation_share, seed, "A validation part")
    to_float = _to_float(training[0], white, standardize)

    return (
        _shuffled(*training, batch_size, seed, initial_epoch, augment, to_float),
        None if validation is None else _in_order(*validation, batch_size, to_float),
        _in_order(*test, batch_size, to_float),
    )


# Arguments.


def _check_name(name):
    if not isinstance(name, str) or not name:
        raise ValueError(
            f"`name` must be {EMBEDDED!r} or the name of a TFDS dataset. Received: name={name!r}"
        )


def _integer(value, name, minimum, maximum=None):
    """`value` as an integer within bounds, or a ValueError that names the parameter."""
    valid = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not valid or value < minimum or (maximum is not None and value > maximum):
        bounds = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise ValueError(f"`{name}` must be an integer {bounds}. Received: {name}={value!r}")
    return int(value)


def _checked_size(image_size):
    if image_size is None:
        return None
    try:
        height, width = (_integer(side, "image_size", minimum=1) for side in image_size)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "`image_size` must be (height, width), two integers of at least 1. "
            f"Received: image_size={image_size!r}"
        ) from error
    return height, width


def _checked_augmentation(augment):
    """`augment` as a dictionary with an entry for every augmentation."""
    valid = ", ".join(repr(name) for name in AUGMENTATIONS)
    if augment is None:
        augment = {}
    if not isinstance(augment, collections.abc.Mapping):
        raise ValueError(
            f"`augment` must be a dictionary with the keys {valid} or some of them. "
            f"Received: augment={augment!r}"
        )
    unknown = [name for name in augment if name not in AUGMENTATIONS]
    if unknown:
        raise ValueError(
            f"Unknown augmentation: {unknown[0]!r}. Valid names: {valid}. "
            f"Received: augment={augment!r}"
        )
    flip = augment.get("flip", False)
    if not isinstance(flip, bool):
        raise ValueError(f"The augmentation 'flip' must be a boolean. Received: flip={flip!r}")
    return {"flip": flip, "shift": _integer(augment.get("shift", 0), "shift", minimum=0)}


def _check_shift(augment, shape):
    smaller_side = min(shape[1:3])
    if augment["shift"] >= smaller_side:
        raise ValueError(
            f"The augmentation 'shift' must be below the images' smaller side, {smaller_side}. "
            f"Received: shift={augment['shift']}"
        )


# Sources: each gives images as uint8 (samples, height, width, channels) and labels as int32.


def _digits_info():
    import sklearn

    return DatasetInfo(
        name=EMBEDDED,
        image_shape=(8, 8, 1),
        num_classes=10,
        class_names=tuple(str(digit) for digit in range(10)),
        version=sklearn.__version__,
    )


def _digits(image_size):
    import sklearn.datasets

    digits = sklearn.datasets.load_digits()
    images = (digits.images[..., np.newaxis] * DIGITS_STEP).astype(np.uint8)
    if image_size is not None:
        images = _resized(images, image_size).numpy()
    return images, digits.target.astype(np.int32)


def _from_tfds(name, data_dir, image_size):
    """Training samples and test samples of a TFDS dataset; None for a missing test set."""
    builder = _builder(name, data_dir)
    image, _ = _features(builder, name)
    if image_size is None and None in image.shape:
        raise ValueError(
            f"The images of {name!r} differ in size: pass `image_size=(height, width)` to resize "
            "them. Received: image_size=None"
        )
    if not builder.is_prepared():
        _prepare(builder, name)
    splits = builder.info.splits
    if "train" not in splits:
        raise ValueError(
            f"The dataset {name!r} has no split 'train', only {', '.join(sorted(splits))}. "
            f"Received: name={name!r}"
        )
    if image_size == tuple(image.shape[:2]):
        image_size = None
    return _read(builder, "train", image_size), _test_samples(builder, image_size)


def _test_samples(builder, image_size):
    for split in ("test", "validation"):
        if split in builder.info.splits:
            images, labels = _read(builder, split, image_size)
            # TFDS marks samples whose labels were never published with -1.
            if labels.min() >= 0:
                return images, labels
    return None


def _read(builder, split, image_size):
    """A split of a prepared TFDS dataset as arrays."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    samples = builder.as_dataset(
        split=split,
        as_supervised=True,
        shuffle_files=False,
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    if image_size is not None:
        samples = samples.map(
            lambda image, label: (_resized(image, image_size), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    samples = samples.batch(builder.info.splits[split].num_examples)
    images, labels = samples.get_single_element()
    return images.numpy(), labels.numpy().astype(np.int32)


def _resized(images, image_size):
    import tensorflow as tf

    resized = tf.image.resize(images, image_size, antialias=True)
    return tf.saturate_cast(tf.round(resized), tf.uint8)


# TFDS builders.


def _builder(name, data_dir):
    """TFDS's builder of a dataset, which knows it and does not download it yet."""
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise ValueError(
            f"TFDS has no dataset named {name!r}{_suggestion(name)}. Received: name={name!r}"
        ) from error
    except Exception as error:
        raise ValueError(
            f"TFDS cannot open the dataset {name!r} ({_reason(error)}): "
            f"check its name, written name/configuration:version. Received: name={name!r}"
        ) from error


def _suggestion(name):
    import tensorflow_datasets as tfds

    names = [EMBEDDED, *tfds.list_builders(with_community_datasets=False)]
    close = difflib.get_close_matches(name.lower(), names, n=3)
    if not close:
        return " (the catalogue at https://www.tensorflow.org/datasets/catalog lists them)"
    return "; the nearest names are " + ", ".join(repr(match) for match in close)


def _features(builder, name):
    """The image and label features of a dataset, or a ValueError where it has other ones."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    keys = builder.info.supervised_keys
    if keys is not None and len(keys) == 2 and all(key in features for key in keys):
        image, label = (features[key] for key in keys)
        if (
            isinstance(image, tfds.features.Image)
            and isinstance(label, tfds.features.ClassLabel)
            and image.np_dtype == np.uint8
            and image.shape[-1] is not None
        ):
            return image, label
    raise ValueError(
        f"The dataset {name!r} is not one of 8-bit images with a class each. "
        f"Received: name={name!r}"
    )


def _prepare(builder, name):
    """Download a dataset and have TFDS prepare it."""
    import tensorflow_datasets as tfds

    try:
        _check_network(builder)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    except Exception as error:
        remedy = "connect to the network"
        if isinstance(error, ImportError):
            remedy = "install what is missing"
        raise ValueError(
            f"The dataset {name!r} is not prepared in {str(builder.data_path)!r} and cannot be "
            f"downloaded ({_reason(error)}): {remedy}, or set `data_dir` or TFDS_DATA_DIR to a "
            "folder where it is prepared."
        ) from error


def _check_network(builder):
    """Raise ConnectionError where none of a dataset's sources answers.

    TFDS would go on trying for minutes.
    """
    sources = {urllib.parse.urlsplit(url).netloc: url for url in builder.url_infos or ()}
    if sources and not any(_answers(url) for url in sources.values()):
        raise ConnectionError(f"no answer from {' or '.join(sorted(sources))}")


def _answers(url):
    import requests

    try:
        requests.get(url, stream=True, timeout=(10, 2)).close()
    except requests.exceptions.ConnectionError:
        return False
    except requests.exceptions.RequestException:
        # A slow source, or one that only TFDS knows how to ask: let it try.
        return True
    return True


def _reason(error):
    """The first sentence of an error, without the arguments that TFDS puts before it."""
    line = str(error).strip().split("\n")[0].rpartition('}": ')[-1]
    return line.split(". ")[0].rstrip(".:") or type(error).__name__


# Splits and figures.


def _cut(images, labels, share, seed, what):
    """Cut a stratified share off: ((images, labels) of the rest, (images, labels) of the cut)."""
    from sklearn.model_selection import train_test_split

    size = round(share * len(labels))
    try:
        rest, cut = train_test_split(
            np.arange(len(labels)), test_size=size, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"{what} cannot be cut off with the classes in their proportions "
            f"({_reason(error)}). Received: {len(labels)} samples to cut {size} from"
        ) from error
    rest, cut = np.sort(rest), np.sort(cut)
    return (images[rest], labels[rest]), (images[cut], labels[cut])


def _channel_moments(images):
    """Mean and standard deviation of every channel, in grey levels."""
    channels = images.shape[-1]
    total, squares = np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    # In pieces, because integers wide enough for the sums take eight times the memory.
    for start in range(0, len(images), 1024):
        pixels = images[start : start + 1024].reshape(-1, channels).astype(np.int64)
        total += pixels.sum(axis=0)
        squares += np.square(pixels).sum(axis=0)
    count = images.size // channels
    mean = total / count
    return mean, np.sqrt(squares / count - mean**2)


def _to_float(training_images, white, standardize):
    """A function from uint8 images to the float32 ones that a model sees."""
    import tensorflow as tf

    center, scale = 0.0, white
    if standardize:
        center, scale = _channel_moments(training_images)
        # A channel that never changes becomes 0 throughout.
        scale = np.where(scale > 0, scale, 1.0)
    # Grey levels are standardised directly: that they lie in [0, 1] first would cancel out.
    center, scale = np.float32(center), np.float32(scale)
    return lambda images: (tf.cast(images, tf.float32) - center) / scale


# Pipelines.


def _in_memory(images, labels):
    import tensorflow as tf

    # Input pipelines run on the processor, so the images stay out of an accelerator's memory.
    with tf.device("CPU:0"):
        return tf.convert_to_tensor(images), tf.convert_to_tensor(labels)


def _num_batches(labels, batch_size):
    return -(-len(labels) // batch_size)


def _in_order(images, labels, batch_size, to_float):
    import tensorflow as tf

    num_batches = _num_batches(labels, batch_size)
    images, labels = _in_memory(images, labels)

    def batch(index):
        samples = slice(index * batch_size, (index + 1) * batch_size)
        return to_float(images[samples]), labels[samples]

    return tf.data.Dataset.range(num_batches).map(batch).prefetch(tf.data.AUTOTUNE)


def _shuffled(images, labels, batch_size, seed, initial_epoch, augment, to_float):
    import tensorflow as tf

    num_samples, num_batches = len(labels), _num_batches(labels, batch_size)
    images, labels = _in_memory(images, labels)
    with tf.device("CPU:0"):
        epochs_begun = tf.Variable(initial_epoch, dtype=tf.int64)

    def epoch_now(_):
        # Runs with the first batch of an iteration: iterators that nothing is drawn from do not
        # count, and Keras makes some of them.
        return epochs_begun.assign_add(1) - 1

    def batches_of(epoch):
        order = tf.random.experimental.stateless_shuffle(
            tf.range(num_samples), seed=tf.stack([seed, epoch]), alg="philox"
        )
        return tf.data.Dataset.range(num_batches).map(
            lambda index: (epoch, index, order[index * batch_size : (index + 1) * batch_size])
        )

    def batch(epoch, index, samples):
        x = tf.gather(images, samples)
        batch_seed = tf.random.fold_in(tf.stack([seed, epoch]), index)
        return to_float(_augmented(x, batch_seed, **augment)), tf.gather(labels, samples)

    epochs = tf.data.Dataset.from_tensors(0).map(epoch_now)
    batches = epochs.flat_map(batches_of).map(
        batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    batches = batches.apply(tf.data.experimental.assert_cardinality(num_batches))
    return batches.prefetch(tf.data.AUTOTUNE)


# Augmentation: batches of images (batch, height, width, channels), every image by itself.


def _augmented(images, seed, flip, shift):
    import tensorflow as tf

    flip_seed, shift_seed = tf.unstack(tf.random.split(seed))
    if flip:
        images = _flipped(images, flip_seed)
    if shift:
        images = _shifted(images, shift_seed, shift)
    return images


def _flipped(images, seed):
    """Mirror each image left to right with probability 1/2."""
    import tensorflow as tf

    draws = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed, alg="philox")
    return tf.where(draws < 0.5, tf.reverse(images, axis=[2]), images)


def _shifted(images, seed, shift):
    """Move every image by up to `shift` pixels along both axes; zeros come in."""
    import tensorflow as tf

    count, (height, width) = tf.shape(images)[0], images.shape[1:3]
    corners = tf.random.stateless_uniform(
        [2, count, 1], seed, minval=0, maxval=2 * shift + 1, dtype=tf.int32, alg="philox"
    )
    # Each image is a window of its own into its zero-padded self.
    padded = tf.pad(images, [[0, 0], [shift, shift], [shift, shift], [0, 0]])
    rows = tf.gather(padded, corners[0] + tf.range(height), axis=1, batch_dims=1)
    return tf.gather(rows, corners[1] + tf.range(width), axis=2, batch_dims=1)
