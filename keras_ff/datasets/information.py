"""What is known of a dataset before its images are read."""

import dataclasses


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
