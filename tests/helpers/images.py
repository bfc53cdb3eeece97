"""Datasets made up for tests, and what comes out of a pipeline."""

import collections
import functools

import numpy as np

from keras_ff import datasets

BOTH = {"shift": 1, "flip": True}


def batches(dataset):
    return list(dataset.as_numpy_iterator())


def joined(dataset):
    """All samples of one iteration as (x, y)."""
    x, y = zip(*batches(dataset), strict=True)
    return np.concatenate(x), np.concatenate(y)


@functools.cache
def raw_digits():
    """Training (epoch 0), validation and test samples of the digits, pixels in [0, 1]."""
    return [joined(part) for part in datasets.load(standardize=False)]


@functools.cache
def augmented_digits(**augment):
    """The training samples of `raw_digits`, augmented."""
    return joined(datasets.load(standardize=False, augment=augment)[0])


def counted(*parts):
    """How often each (image, label) pair occurs in parts that are (x, y)."""
    return collections.Counter(
        (image.tobytes(), int(label)) for x, y in parts for image, label in zip(x, y, strict=True)
    )


def moved(images, down, right):
    """Images shifted in numpy, the pixels of the edge repeated."""
    most = max(abs(down), abs(right))
    wide = np.pad(images, [(0, 0), (most, most), (most, most), (0, 0)], mode="edge")
    height, width = images.shape[1:3]
    top, left = most - down, most - right
    return wide[:, top : top + height, left : left + width]


def write_tfds(folder, name, splits, image_shape=(4, 5, 3), label_names=("cat", "dog")):
    """Prepare a dataset as TFDS would. `splits`: lists of (image, label) by split name."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    version_folder = folder / name / "1.0.0"
    version_folder.mkdir(parents=True)
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=image_shape),
            "label": tfds.features.ClassLabel(names=list(label_names)),
        }
    )
    for split, samples in splits.items():
        path = version_folder / f"{name}-{split}.tfrecord-00000-of-00001"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for image, label in samples:
                writer.write(features.serialize_example({"image": image, "label": label}))
    tfds.folder_dataset.write_metadata(
        data_dir=str(version_folder), features=features, supervised_keys=("image", "label")
    )
    return folder


def colours(count, start=0):
    """Images of 4 × 5 × 3 that can be told apart, and labels 0 and 1 in turn."""
    return [
        (np.full((4, 5, 3), [start + i, 100, 255 - i], np.uint8), (start + i) % 2)
        for i in range(count)
    ]


def all_digits():
    import sklearn.datasets

    digits = sklearn.datasets.load_digits()
    return (digits.images[..., np.newaxis] / 16).astype(np.float32), digits.target
