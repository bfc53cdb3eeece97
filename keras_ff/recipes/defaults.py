"""What suits each dataset, and each architecture."""

from keras_ff.recipes.models import BEST_LAYERS

# The dtype policy that this machine trains fastest under, `keras_ff.recipes.dtypes.fastest_policy`.
FASTEST = "fastest"

# Default options by dataset. Datasets that are not listed take the defaults of `TrainingConfig`.
DEFAULTS = {
    "digits": {
        "units": (300, 300, 300),
        "layer_schedule": "simultaneous",
        "epochs": 30,
        "batch_size": 64,
        "learning_rate": 3e-3,
    },
    "mnist": {
        "units": (500, 500, 500),
        "negatives_count": 9,
        "alpha": 32.0,
        "label_strength": 0.05,
        "standardize": False,
        "shift": 1,
        "layer_schedule": "simultaneous",
        "epochs": 12,
        "batch_size": 128,
        "learning_rate": 2e-3,
        "dtype_policy": FASTEST,
    },
}

# What suits an architecture, whatever the dataset.
_CLASS_GROUP_CONVOLUTIONS = {
    "goodness": "class_groups",
    "normalization": "class_groups",
    "loss": "sparse_categorical_crossentropy",
    "alpha": None,
    "layer_schedule": "simultaneous",
    "readout": BEST_LAYERS,
    "epochs": 20,
    "batch_size": 128,
    "learning_rate": 0.01,
    "rate_schedule": "cosine",
    "weight_decay": 5e-4,
    "clip_norm": 1.0,
    "dtype_policy": FASTEST,
}
ARCHITECTURES = {
    "mlp": {},
    "cnn": {"units": (40, 80, 80, 160, 160), **_CLASS_GROUP_CONVOLUTIONS},
    "resnet": {"units": (20,), "dropout": 0.2, **_CLASS_GROUP_CONVOLUTIONS},
}
