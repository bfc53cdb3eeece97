"""Kesanapalli et al. 2023, tables 2 and 3: accuracy by the number of training images."""

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.networks import kesanapalli2023
from keras_ff.lab.experiments.table import Cell, Table

# Test accuracy in percent by training images: Forward-Forward, and backpropagation.
PUBLISHED = {
    "mnist": {
        60_000: (96.79, 97.66),
        50_000: (96.41, 97.54),
        40_000: (95.16, 97.89),
        30_000: (94.02, 97.56),
        20_000: (90.68, 97.19),
        10_000: (74.70, 95.69),
        5_000: (38.08, 46.83),
        1_000: (11.20, 8.89),
    },
    "fashion_mnist": {
        60_000: (85.56, 89.21),
        50_000: (84.22, 88.95),
        40_000: (83.06, 88.21),
        30_000: (81.35, 86.92),
        20_000: (78.32, 85.92),
        10_000: (68.32, 85.88),
        5_000: (44.70, 42.09),
        1_000: (8.50, 8.00),
    },
    "cifar10": {
        50_000: (45.52, 52.98),
        40_000: (42.49, 52.67),
        30_000: (38.73, 50.00),
        20_000: (34.02, 47.61),
        10_000: (27.82, 44.44),
        5_000: (16.46, 20.62),
        1_000: (12.50, 3.60),
    },
}
# Sizes at which its own networks are trained again.
AS_PUBLISHED = (1_000, 5_000, 10_000)
# The source's test sets shrink below 10,000 training images, and its accuracies of backpropagation
# were then divided by the size of the whole set.
WHOLE_TEST_SET = 10_000
# So that few images are seen as often as many, up to ten times the epochs.
STEPS = 60_000


def _corrected(published, samples):
    """What backpropagation reached, divided by the size of its own test set."""
    return round(published * WHOLE_TEST_SET / min(samples, WHOLE_TEST_SET), 2)


def _ours(dataset, samples):
    config = mlp_recipes.class_groups(dataset)
    epochs = round(config.epochs * min(STEPS / samples, 4))
    return mlp_recipes.class_groups(dataset, samples=samples, epochs=epochs)


def _cells():
    for dataset, sizes in PUBLISHED.items():
        whole = max(sizes)
        for samples, (forward_forward, backpropagation) in sizes.items():
            row = f"{dataset} {samples:,}"
            some = None if samples == whole else samples
            if samples in AS_PUBLISHED:
                yield kesanapalli2023.cell(row, dataset, forward_forward, samples=some)
            yield Cell(row, _ours(dataset, some or whole), forward_forward)
            corrected = _corrected(backpropagation, samples)
            text = f"{backpropagation} ({corrected} of its own)" if samples < 10_000 else ""
            yield kesanapalli2023.backpropagation_cell(
                row, dataset, corrected, samples=some, published_text=text
            )


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="kesanapalli2023_samples",
        title="Accuracy by the number of training images",
        source="Kesanapalli, Rangarajan, Jain and Jain 2023, tables 2 and 3",
        rows="data",
        cells=tuple(_cells()),
        remarks=(
            f"{kesanapalli2023.REMARKS} Images are drawn with the classes in their proportions; "
            "validation images are among them. Test sets are whole, where the source's shrink to "
            "the size of the training set below 10,000. Its values of backpropagation on 5,000 and "
            "1,000 images appear to be divided by the size of the whole test set: beside them "
            "stands what they are of their own, from which the difference is taken."
        ),
    )
