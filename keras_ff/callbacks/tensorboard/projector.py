"""Activities and labels of samples as points in TensorBoard's projector."""

import math
import pathlib

import numpy as np

from keras_ff.visualization import images

# Activities of more units than this are reduced to as many principal components.
MOST_COORDINATES = 50
LABELS_FILE = "labels.tsv"
THUMBNAILS_FILE = "samples.png"
# TensorBoard draws no larger sheets of thumbnails.
LARGEST_SHEET = 8192


def write(folder, activities, labels, x):
    """Write points, their labels and thumbnails, and tell TensorBoard of them.

    `activities` has an array of shape (samples, units) per layer; `labels` is `None` where unknown.
    """
    from tensorboard.plugins import projector

    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = projector.ProjectorConfig()
    if labels is not None:
        (folder / LABELS_FILE).write_text("\n".join(labels) + "\n", encoding="utf-8")
    size = _write_thumbnails(folder / THUMBNAILS_FILE, x)
    for number, of_layer in enumerate(activities, start=1):
        name = f"layer_{number}_activities"
        np.savetxt(folder / f"{name}.tsv", coordinates(of_layer), fmt="%.5g", delimiter="\t")
        embedding = config.embeddings.add()
        embedding.tensor_name = name
        embedding.tensor_path = f"{name}.tsv"
        if labels is not None:
            embedding.metadata_path = LABELS_FILE
        if size is not None:
            embedding.sprite.image_path = THUMBNAILS_FILE
            embedding.sprite.single_image_dim.extend(size)
    projector.visualize_embeddings(str(folder), config)


def coordinates(activities):
    """Activities, (samples, units), or their first 50 principal components if there are more."""
    if activities.shape[1] <= MOST_COORDINATES:
        return activities
    from sklearn.decomposition import PCA

    number = min(MOST_COORDINATES, len(activities))
    return PCA(number, svd_solver="full").fit_transform(activities.astype("float64"))


def _write_thumbnails(path, x):
    """All samples on a square sheet; (width, height) of each, `None` where they are no images."""
    if not images.can_be_seen(x.shape[1:]):
        return None
    columns = math.ceil(math.sqrt(len(x)))
    height, width = x.shape[1:3]
    if columns * max(height, width) > LARGEST_SHEET:
        return None
    from matplotlib.image import imsave

    samples = images.as_images(x)
    sheet = np.zeros((columns * columns, *samples.shape[1:]))
    sheet[: len(samples)] = samples
    rows = sheet.reshape(columns, columns, *samples.shape[1:]).transpose(0, 2, 1, 3, 4)
    sheet = rows.reshape(columns * height, columns * width, -1)
    imsave(path, np.repeat(sheet, 3 // sheet.shape[-1], axis=-1))
    return width, height
