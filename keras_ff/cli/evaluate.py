"""`keras-ff evaluate`: measure a model on a data set."""

import json

from keras_ff.cli import printing
from keras_ff.utils.files import path_of


def evaluate(model, dataset=None, as_json=False, batch_size=None, data_dir=None):
    """Measure a model on a data set, prepared as it was for training."""
    from keras_ff import datasets, recipes, training

    model, run, known = _loaded(model)
    changes = {"dataset": dataset, "batch_size": batch_size}
    changes = {name: value for name, value in changes.items() if value is not None}
    config = recipes.TrainingConfig.from_dict({**known, **changes})
    info = datasets.info(config.dataset, data_dir=data_dir)
    if info.num_classes != model.num_classes:
        raise ValueError(
            f"The model has {model.num_classes} classes, and {config.dataset!r} has "
            f"{info.num_classes}."
        )
    _, validation, test = config.load_data(data_dir=data_dir)
    validation_accuracy = None
    # Which samples were held out from training is known of our own runs alone.
    if run and validation is not None:
        validation_accuracy = training.classification_metrics(model, validation)["accuracy"]
    measured = training.classification_metrics(model, test)
    report = training.report(model, config, run, validation_accuracy, measured)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        print(printing.outcome(report))
        print(_table(report, info.class_names))


def _loaded(name):
    """A model, the record of its run or None, and options of the configuration of its data."""
    from keras_ff import training, zoo
    from keras_ff.presets.folders import is_preset
    from keras_ff.utils import registry

    path = path_of(name)
    if path.exists() and not is_preset(path):
        model, run = training.load(path)
        return model, run, run["config"] if run else {}
    known = zoo.list_presets()
    if name not in known and not is_preset(path):
        raise ValueError(
            f"There is no model file {name!r}, and no preset of that name. "
            f"{registry.nearest(name, known, '`keras-ff zoo list` lists all.')}"
        )
    preset = zoo.get(name)
    metadata = preset.metadata
    run = None
    if metadata.get("recipe") is not None:
        samples = (metadata.get("protocol") or {}).get("training")
        run = {
            "config": metadata["recipe"],
            "epoch": metadata["epochs"],
            "seconds": metadata.get("seconds"),
            "samples": samples,
        }
    return preset.model(), run, preset.data_options() or {}


def _table(report, class_names):
    """Accuracy of every class, and the confusion matrix."""
    matrix = report["confusion_matrix"]
    name_width = max(len("class"), *map(len, class_names))
    lines = ["", f"{'class':<{name_width}}  samples  accuracy"]
    for name, row, accuracy in zip(class_names, matrix, report["per_class_accuracy"], strict=True):
        percent = "–" if accuracy is None else f"{100 * accuracy:.2f} %"
        lines.append(f"{name:<{name_width}}  {sum(row):>7}  {percent:>8}")
    width = max(
        len(str(len(matrix) - 1)), *(len(str(count)) for counts in matrix for count in counts)
    )
    lines += ["", "Confusion matrix: a row for each true class, a column for each predicted one."]
    lines.append(
        f"{'':<{name_width}} " + "".join(f" {column:>{width}}" for column in range(len(matrix)))
    )
    for name, counts in zip(class_names, matrix, strict=True):
        lines.append(f"{name:<{name_width}} " + "".join(f" {count:>{width}}" for count in counts))
    return "\n".join(lines)
