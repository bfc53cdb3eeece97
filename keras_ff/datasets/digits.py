"""The digits that come with scikit-learn."""

import numpy as np

from keras_ff.datasets.information import DatasetInfo
from keras_ff.datasets.resizing import resized

NAME = "digits"
# Their 17 grey levels fill the range of uint8 in steps of 15.
STEP = 15
WHITE = 16 * STEP


def info():
    """Their `DatasetInfo`."""
    import sklearn

    return DatasetInfo(
        name=NAME,
        image_shape=(8, 8, 1),
        num_classes=10,
        class_names=tuple(str(digit) for digit in range(10)),
        version=sklearn.__version__,
    )


def samples(image_size):
    """Images as uint8 of shape (samples, height, width, 1), and labels as int32."""
    import sklearn.datasets

    digits = sklearn.datasets.load_digits()
    images = (digits.images[..., np.newaxis] * STEP).astype(np.uint8)
    if image_size is not None:
        images = resized(images, image_size).numpy()
    return images, digits.target.astype(np.int32)
