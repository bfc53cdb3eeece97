"""Metrics of a model."""

import numpy as np

from keras_ff.recipes import TrainingConfig
from keras_ff.training.checkpoint import READOUT_SECONDS
from keras_ff.training.machine import machine, versions
from keras_ff.utils import extras
from keras_ff.utils.files import for_json
from keras_ff.utils.user_warnings import warn_of_former_name


def classification_metrics(model, data):
    """Accuracy, accuracy of every class and confusion matrix of a model on a data set.

    Args:
        model: an `FFModel`.
        data: `tf.data.Dataset` of batches (x, y), in an order that is always the same.

    Returns:
        A dictionary with `accuracy`, a float; `per_class_accuracy`, a list with nan for classes
        without samples; and `confusion_matrix`, a list with a row for every true class.

    Raises:
        ImportError: if scikit-learn is not installed, of the extra `datasets`; it is a
            `ValueError` as well.
    """
    extras.require("Metrics of classes", "datasets", "sklearn")
    from sklearn import metrics

    truth = np.concatenate([np.asarray(y) for _, y in data])
    predictions = np.argmax(model.predict(data, verbose=0), axis=1)
    classes = np.arange(model.num_classes)
    return {
        "accuracy": float(metrics.accuracy_score(truth, predictions)),
        "per_class_accuracy": metrics.recall_score(
            truth, predictions, labels=classes, average=None, zero_division=np.nan
        ).tolist(),
        "confusion_matrix": metrics.confusion_matrix(truth, predictions, labels=classes).tolist(),
    }


def figures(model, data):
    """The former name of `classification_metrics`, until keras_ff 0.3.0."""
    warn_of_former_name(
        "keras_ff.training.figures", "keras_ff.training.classification_metrics", "0.3.0"
    )
    return classification_metrics(model, data)


def report(model, config, run, validation, test):
    """The metrics of a model and its training, ready for JSON.

    Args:
        model: an `FFModel`.
        config: the `TrainingConfig` by which the data were made.
        run: the record of the run that trained the model, as from `load`, or `None`.
        validation: accuracy on the validation part, or `None`.
        test: metrics on the test set, as from `classification_metrics`.

    Returns:
        A dictionary, `None` where something is not known.
    """
    run = run or {}
    seconds, samples = run.get("seconds"), run.get("samples")
    epochs = run.get("epoch")
    return {
        "dataset": config.dataset,
        "test_accuracy": test["accuracy"],
        "validation_accuracy": validation,
        "per_class_accuracy": for_json(test["per_class_accuracy"]),
        "confusion_matrix": test["confusion_matrix"],
        "epochs": epochs,
        "seconds": seconds and seconds + run.get(READOUT_SECONDS, 0.0),
        "samples_per_second": samples * epochs / seconds if samples and seconds else None,
        "seed": config.seed,
        "parameters": model.count_params(),
        "locality": model.locality,
        "command": run.get("command")
        or (TrainingConfig.from_dict(run["config"]).command() if run else None),
        "versions": versions(),
        "machine": machine(),
    }
