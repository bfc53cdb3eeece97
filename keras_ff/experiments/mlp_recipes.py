"""What trains multi-layer perceptrons best on each dataset, by activation.

Settings were chosen on validation data. The presets of the zoo and the cells of several tables are
trained by them.
"""

from keras_ff.recipes import TrainingConfig

# Whose activities are never negative, or bounded, or both: a length normalisation would hand on
# what they have in common, so that it takes the mean away first.
OFFSET = ("sigmoid", "t_distribution", "elu", "tanh")


def mnist(activation="relu", **changed):
    """All wrong labels as negatives, images shifted by up to a pixel, 3 × 500 units.

    Args:
        activation: string, a name for `keras_ff.activations.get`. Defaults to `"relu"`.
        **changed: options of `TrainingConfig` that are to differ.

    Returns:
        A `TrainingConfig`.
    """
    alphas = {"tanh": 64.0, "sigmoid": 256.0}
    recipe = {
        "units": (500,) * 3,
        "activation": activation,
        "alpha": alphas.get(activation, 32.0),
        "normalization": "centered_length" if activation in OFFSET else "length",
        "epochs": 12,
    }
    return TrainingConfig.for_dataset("mnist", **{**recipe, **changed})


def class_groups(dataset, activation, **changed):
    """Class groups on 3 × 1000 units: no negatives, one pass to score, any activation learns.

    Args:
        dataset: string, a name for `keras_ff.datasets.load`.
        activation, **changed: as for `mnist`.

    Returns:
        A `TrainingConfig`.
    """
    rates = {"tanh": 2e-4, "sigmoid": 1e-3}
    recipe = {
        "units": (1000,) * 3,
        "activation": activation,
        "goodness": "class_groups",
        "goodness_scale": 20.0 if activation == "sigmoid" else 10.0,
        "normalization": "centered_length",
        "dropout": 0.1,
        "layer_schedule": "simultaneous",
        "epochs": 60,
        "batch_size": 256,
        "learning_rate": rates.get(activation, 4e-4),
        "weight_averaging": 0.999,
        "standardize": False,
        "shift": 2,
        "flip": True,
        "dtype_policy": "mixed_bfloat16",
    }
    return TrainingConfig.for_dataset(dataset, **{**recipe, **changed})


def cifar10(activation, **changed):
    """`class_groups` on 40,000 training images of CIFAR-10, as S1 parts them."""
    return class_groups("cifar10", activation, **{"validation_share": 0.2, **changed})


def cifar10_contrastive(activation, **changed):
    """Positives against three negatives on 3 × 1000 units; arguments and answer as `mnist`."""
    rates = {"tanh": 3e-4, "sigmoid": 5e-4, "t_distribution": 4e-4}
    alphas = {"tanh": 64.0, "sigmoid": 256.0}
    recipe = {
        "units": (1000,) * 3,
        "activation": activation,
        "alpha": alphas.get(activation, 16.0),
        "negatives_count": 3,
        "label_strength": 0.05,
        "normalization": "centered_length" if activation in OFFSET else "length",
        "layer_schedule": "simultaneous",
        "epochs": 40,
        "batch_size": 256,
        "learning_rate": rates.get(activation, 1.5e-3),
        "weight_averaging": 0.999,
        "validation_share": 0.2,
        "shift": 2,
        "flip": True,
        "dtype_policy": "mixed_bfloat16",
    }
    return TrainingConfig.for_dataset("cifar10", **{**recipe, **changed})


def best(dataset, **changed):
    """What reaches most on a dataset, of all that was tried.

    Args:
        dataset: string: `"mnist"`, `"fashion_mnist"`, `"svhn_cropped_10k"`, `"cifar10"` or
            `"cifar100"`.
        **changed: options of `TrainingConfig` that are to differ.

    Returns:
        A `TrainingConfig`.
    """
    if dataset == "mnist":
        recipe = {"units": (1000,) * 3, "epochs": 40, "weight_averaging": 0.999}
        return mnist(**{**recipe, **changed})
    recipes = {
        "fashion_mnist": {"shift": 1},
        "svhn_cropped_10k": {"flip": False},
        "cifar10": {"validation_share": 0.2, "epochs": 150},
        "cifar100": {},
    }
    return class_groups(dataset, "t_distribution", **{**recipes[dataset], **changed})
