"""Kesanapalli et al. 2023, tables 2 and 3: accuracy by the number of training images."""

from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.networks import kesanapalli2023
from keras_ff.lab.experiments.table import Cell, Table

# Accuracy in percent on training and test data by the number of training images: Forward-Forward,
# where the source has it, and backpropagation.
PUBLISHED = {
    "mnist": {
        60_000: ((97.23, 96.79), (99.83, 97.66)),
        50_000: ((96.62, 96.41), (82.71, 97.54)),
        40_000: ((95.62, 95.16), (66.66, 97.89)),
        30_000: ((94.05, 94.02), (49.99, 97.56)),
        20_000: ((90.48, 90.68), (33.32, 97.19)),
        10_000: ((74.88, 74.70), (16.64, 95.69)),
        5_000: ((37.78, 38.08), (8.31, 46.83)),
        1_000: ((9.10, 11.20), (1.65, 8.89)),
    },
    "fashion_mnist": {
        60_000: ((86.98, 85.56), (95.32, 89.21)),
        50_000: ((86.01, 84.22), (79.56, 88.95)),
        40_000: ((84.62, 83.06), (63.47, 88.21)),
        30_000: ((83.37, 81.35), (46.90, 86.92)),
        20_000: ((79.69, 78.32), (30.96, 85.92)),
        10_000: ((69.22, 68.32), (15.56, 85.88)),
        5_000: ((44.44, 44.70), (7.79, 42.09)),
        1_000: ((9.10, 8.50), (1.55, 8.00)),
    },
    "cifar10": {
        50_000: ((48.77, 45.52), (83.81, 52.98)),
        40_000: ((45.27, 42.49), (67.81, 52.67)),
        30_000: ((40.73, 38.73), (51.93, 50.00)),
        20_000: ((34.83, 34.02), (35.47, 47.61)),
        10_000: ((27.69, 27.82), (17.49, 44.44)),
        5_000: ((17.42, 16.46), (9.50, 20.62)),
        1_000: ((12.90, 12.50), (1.89, 3.60)),
    },
    "cifar100": {
        50_000: ((2.40, 2.05), (55.87, 23.91)),
        40_000: (None, (47.21, 22.79)),
        30_000: (None, (37.20, 21.37)),
        20_000: (None, (27.57, 18.93)),
        10_000: (None, (14.44, 16.41)),
        5_000: (None, (8.50, 7.13)),
        1_000: (None, (1.86, 0.84)),
    },
    mlp_recipes.SVHN: {
        3_000: ((9.21, 9.39), (3.64, 7.48)),
        1_000: ((7.63, 7.87), (1.36, 2.35)),
    },
}
# Training and test images of the source's whole sets, by which it divided.
WHOLE = {
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    mlp_recipes.SVHN: (73_000, 26_000),
}
# Sizes at which its own networks are trained again.
AS_PUBLISHED = (1_000, 5_000, 10_000)
# Ours train for as many steps on few images as on 60,000 in 30 epochs, down to a twentieth of them.
EPOCHS, IMAGES, MOST = 30, 60_000, 20


def _corrected(dataset, samples, published):
    """What backpropagation reached on training and test data, divided by how many there were."""
    return tuple(
        round(value * whole / min(samples, whole), 2)
        for value, whole in zip(published, WHOLE[dataset], strict=True)
    )


def _said(published, corrected):
    return f"{published}" if published == corrected else f"{published} ({corrected})"


def _ours(dataset, samples):
    epochs = round(EPOCHS * min(IMAGES / samples, MOST))
    return mlp_recipes.class_groups(dataset, samples=samples, epochs=epochs)


def _cells():
    for dataset, sizes in PUBLISHED.items():
        for samples, (forward_forward, backpropagation) in sizes.items():
            row = f"{dataset} {samples:,}"
            some = None if samples == WHOLE[dataset][0] else samples
            comparable = {"comparable": dataset != mlp_recipes.SVHN}
            training, test = forward_forward or (None, None)
            own = dict(comparable)
            if training is not None:
                own["source_values"] = {"training": f"{training}"}
            if samples in AS_PUBLISHED and test is not None:
                yield kesanapalli2023.cell(row, dataset, test, samples=some, **own)
            yield Cell(row, _ours(dataset, samples), test, validation_freq=10, **own)
            training, test = _corrected(dataset, samples, backpropagation)
            yield kesanapalli2023.backpropagation_cell(
                row,
                dataset,
                test,
                samples=some,
                published_text=_said(backpropagation[1], test),
                source_values={"training": _said(backpropagation[0], training)},
                **comparable,
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
            "validation images are among them. Test sets are whole, where the source's have no "
            "more images than the training set. Its values of backpropagation appear to be "
            "divided by the size of the whole sets: what they are of the images there were stands "
            "in brackets, from which the difference is taken. Its networks on whole sets are "
            f"trained again for the table before. {mlp_recipes.STAND_IN}"
        ),
    )
