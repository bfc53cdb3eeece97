"""Names that the help lists: those of keras_ff, which a parser does not import.

A test holds them equal to what keras_ff knows.
"""

LABELS = ("append", "overlay", "label_map", "spatial_pattern", "token_labels")
READOUTS = ("goodness", "softmax", "joint")
GOODNESS = (
    "sum_of_squares",
    "mean_of_squares",
    "mean_activity",
    "class_groups",
    "local_classifier",
)
LOSSES = ("logistic", "symba", "label_softmax", "sparse_categorical_crossentropy")
NEGATIVES = (
    "adversarial",
    "all_labels",
    "fixed_labels",
    "hard_labels",
    "hybrid_images",
    "perturbation",
    "random_labels",
    "two_views",
)
LAYER_SCHEDULES = ("greedy", "simultaneous", "alternating", "pipelined", "windows")
DISTRIBUTIONS = ("devices", "workers")
BENCHMARKS = (
    "step",
    "conv",
    "fit",
    "callbacks",
    "predict",
    "memory",
    "pipeline",
    "backends",
    "system",
    "accuracy",
    "start",
)


def listed(names):
    return ", ".join(names)
