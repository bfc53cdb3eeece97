"""Images and labels from TensorFlow Datasets (TFDS)."""

import contextlib
import difflib
import functools
import urllib.parse

import numpy as np

from keras_ff.datasets import digits
from keras_ff.datasets.errors import reason
from keras_ff.datasets.resizing import resized
from keras_ff.utils.files import path_of


def samples(name, data_dir, image_size):
    """Training samples and test samples of a TFDS dataset; `None` for a missing test set.

    Each is a pair: images as uint8 of shape (samples, height, width, channels), labels as int32.
    """
    return _reader(name, data_dir, image_size)


@contextlib.contextmanager
def kept():
    """A context in which the last dataset stays in memory, to be asked for again at once."""
    global _reader
    _reader = functools.lru_cache(maxsize=1)(_samples)
    try:
        yield
    finally:
        _reader = _samples


def _samples(name, data_dir, image_size):
    builder = builder_of(name, data_dir)
    image, _ = features_of(builder, name)
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
            lambda image, label: (resized(image, image_size), label),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    samples = samples.batch(builder.info.splits[split].num_examples)
    images, labels = samples.get_single_element()
    return images.numpy(), labels.numpy().astype(np.int32)


def builder_of(name, data_dir):
    """TFDS's builder of a dataset, which knows it and does not download it yet."""
    import tensorflow_datasets as tfds

    data_dir = None if data_dir is None else str(path_of(data_dir))
    try:
        return tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.registered.DatasetNotFoundError as error:
        raise ValueError(
            f"TFDS has no dataset named {name!r}{_suggestion(name)}. Received: name={name!r}"
        ) from error
    except Exception as error:
        raise ValueError(
            f"TFDS cannot open the dataset {name!r} ({reason(error)}): "
            f"check its name, written name/configuration:version. Received: name={name!r}"
        ) from error


def _suggestion(name):
    import tensorflow_datasets as tfds

    names = [digits.NAME, *tfds.list_builders(with_community_datasets=False)]
    close = difflib.get_close_matches(name.lower(), names, n=3)
    if not close:
        return " (the catalogue at https://www.tensorflow.org/datasets/catalog lists them)"
    return "; the nearest names are " + ", ".join(repr(match) for match in close)


def features_of(builder, name):
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
            f"downloaded ({reason(error)}): {remedy}, or set `data_dir` or TFDS_DATA_DIR to a "
            "folder where it is prepared."
        ) from error


def _check_network(builder):
    """Raise ConnectionError where none of a dataset's sources responds.

    TFDS would go on trying for minutes.
    """
    sources = {urllib.parse.urlsplit(url).netloc: url for url in builder.url_infos or ()}
    if sources and not any(_responds(url) for url in sources.values()):
        raise ConnectionError(f"no answer from {' or '.join(sorted(sources))}")


def _responds(url):
    import requests

    try:
        requests.get(url, stream=True, timeout=(10, 2)).close()
    except requests.exceptions.ConnectionError:
        return False
    except requests.exceptions.RequestException:
        # A slow source, or one that only TFDS knows how to ask: let it try.
        return True
    return True


# What `samples` reads by.
_reader = _samples
