"""What trains convolutional networks of class groups, by dataset.

The cells of the table of Dooms and the layers of the zoo's convolutional networks are trained by
these.
"""

from keras_ff.recipes import TrainingConfig

# Besides class groups, each layer draws the samples of a class together.
_CONTRAST = {"supervised_contrast": 1.0, "dropout": 0.0}
SETTINGS = {
    "mnist": {"epochs": 30, "shift": 2, "rotate": 10.0},
    "fashion_mnist": {
        "units": (40, 40, 80, 80, 160, 160),
        "epochs": 40,
        "batch_size": 64,
        "shift": 1,
        "flip": True,
        "supervised_contrast_regions": 7,
        **_CONTRAST,
    },
    # TFDS, which does not have it, cannot be asked for its classes.
    "svhn_cropped_10k": {"epochs": 60, "shift": 2, "num_classes": 10},
    "cifar10": {
        "units": (60, 60, 120, 120, 240, 240),
        "epochs": 80,
        "shift": 4,
        "flip": True,
        "supervised_contrast_regions": 4,
        **_CONTRAST,
    },
    "cifar100": {
        # As many channels in the first layer as there are classes.
        "units": (100, 100, 200, 200, 400, 400),
        "epochs": 28,
        # A quarter of the others', at which goodness of 100 classes, a group of one to four
        # channels each, grew out of hand; short trials did best at 0.002 to 0.003.
        "learning_rate": 0.0025,
        "shift": 4,
        "flip": True,
        "erase": 8,
        "supervised_contrast_regions": 4,
        **_CONTRAST,
    },
}


def class_groups(dataset, **changed):
    """Class groups of ReLU channels, scored by the layers that are best on validation data."""
    recipe = {
        "architecture": "cnn",
        "dropout": 0.1,
        "weight_averaging": 0.999,
        "validation_share": 0.1,
        "dtype_policy": "mixed_bfloat16",
    }
    return TrainingConfig.for_dataset(dataset, **{**recipe, **SETTINGS[dataset], **changed})
