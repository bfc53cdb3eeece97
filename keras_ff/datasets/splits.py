"""Parts of a dataset with the classes in their proportions."""

import numpy as np

from keras_ff.datasets.errors import reason


def cut(images, labels, size, seed, what):
    """Cut `size` stratified samples off: (images, labels) of the rest, and of the cut."""
    from sklearn.model_selection import train_test_split

    try:
        rest, part = train_test_split(
            np.arange(len(labels)), test_size=size, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise ValueError(
            f"{what} cannot be cut off with the classes in their proportions "
            f"({reason(error)}). Received: {len(labels)} samples to cut {size} from"
        ) from error
    rest, part = np.sort(rest), np.sort(part)
    return (images[rest], labels[rest]), (images[part], labels[part])
