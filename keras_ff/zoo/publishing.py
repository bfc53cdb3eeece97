"""A trained network becomes a preset with metrics and pictures of the files as shipped."""

import contextlib
import io
import shlex

import numpy as np

from keras_ff import datasets
from keras_ff.presets import loading, metadata, saving, storage
from keras_ff.presets.names import CONFIG_FILE, FILTERS_PICTURE, GOODNESS_PICTURE, WEIGHTS_FILE
from keras_ff.recipes import TrainingConfig
from keras_ff.utils import extras
from keras_ff.utils.files import path_of
from keras_ff.zoo import measuring

# Compact weights may lose so much validation accuracy, a fraction.
LOSS = 0.0005
AUTO = "auto"
# A file that travels with keras_ff has at most so many bytes.
LARGEST_FILE = 12 * 10**6
# Samples and units that pictures show at most, and dots per inch: small files that can be read.
PICTURE_SAMPLES, FILTERS, RESOLUTION = 1000, 48, 80


def publish(model, path, data, weights=AUTO, config=None, data_dir=None, **known):
    """Make a preset with a card of a trained model.

    All metrics and pictures are those of the compact weights, loaded back. The test set decides
    nothing.

    Args:
        model: a trained `FFModel`.
        path: string or path of the preset's folder, whose name is the preset's. One that holds a
            preset is replaced.
        data: dictionary: how the data were prepared, as of `keras_ff.datasets.DataConfig`, or
            `None`: those of `config`.
        weights: `"float32"`, `"float16"`, `"int8"`, `"int6"`, or `"auto"`: the smallest that
            keeps the validation accuracy to 0.05 percentage points. Defaults to `"auto"`.
        config: the `TrainingConfig` by which the model was trained, or `None` where it was not
            trained by one. Defaults to `None`.
        data_dir: as for `keras_ff.datasets.load`. Defaults to `None`.
        **known: further entries of the metadata, see `keras_ff.presets.metadata.KNOWN`, such as
            `architecture`, `command`, `epochs`, `seed`, `seconds`, `description`.

    Returns:
        The `keras_ff.zoo.Preset`.

    Raises:
        ValueError: as for `keras_ff.zoo.save`, or if a file would be larger than 12 MB or the
            model has other classes than the dataset.
        ImportError: if the extra `datasets` or `plot` is not installed; it is a `ValueError` as
            well.

    Example:

    >>> model = keras_ff.models.mlp((32,))
    >>> model.build((None, 8, 8, 1))
    >>> preset = publish(
    ...     model, "presets/digits_mlp_relu", {"dataset": "digits"}, "int8", epochs=0
    ... )
    >>> 0 < preset.test_accuracy < 0.3
    True
    """
    extras.require("Pictures of a preset", "plot", "matplotlib")
    prepared = config.data if data is None else datasets.DataConfig.from_dict(data)
    info = datasets.info(prepared.dataset, data_dir=data_dir)
    if info.num_classes != model.num_classes:
        raise ValueError(
            f"The model has {model.num_classes} classes, and {prepared.dataset!r} has "
            f"{info.num_classes}. Received: data={data!r}"
        )
    train, validation, test = prepared.load(data_dir=data_dir)
    if weights == AUTO:
        weights = smallest_storage(model, validation)
    files = saving.contents(model, weights)
    _check_size(files)
    shipped = loading.model_of(files[CONFIG_FILE], files[WEIGHTS_FILE], str(path))
    part = "test" if validation is None else "validation"
    shown = test if validation is None else validation
    x, y = (np.concatenate([np.asarray(one) for one in many]) for many in zip(*shown, strict=True))
    files |= _pictures(shipped, x, y)
    found = {
        "dataset": prepared.dataset,
        "dataset_version": info.version,
        "data": prepared.to_dict(),
        "protocol": {
            "training": _samples(train),
            "validation": _samples(validation),
            "test": _samples(test),
        },
        "validation_accuracy": measuring.accuracy(shipped, validation),
        "test_accuracy": measuring.accuracy(shipped, test),
        "layer_accuracy": {"data": part, **measuring.layer_accuracy(shipped, x, y)},
    }
    entries = metadata.of_model(shipped, config, {**found, **known})
    return saving.write(path, files, {"storage": weights, **entries})


def save_run(run, path, weights=AUTO, data_dir=None, **known):
    """Make a preset with a card of a finished run of `keras-ff train`.

    Args:
        run: string or path of the run's folder.
        path, weights, data_dir, **known: as for `publish`.

    Returns:
        The `keras_ff.zoo.Preset`.

    Raises:
        ValueError: if the folder holds no run, or one that is not complete; or as for `publish`.

    Example:

    >>> from keras_ff import recipes, training
    >>> config = recipes.TrainingConfig.for_dataset("digits", units=16, epochs=1)
    >>> metrics = training.train(config, "runs/small", verbose=0)
    >>> save_run("runs/small", "presets/digits_mlp_relu", "int8").test_accuracy > 0.1
    True
    """
    from keras_ff import training

    run = path_of(run)
    if not (run / training.METRICS_FILE).exists():
        raise ValueError(
            f"There is no complete run in {str(run)!r}: go on with it, keras-ff train --resume "
            f"--out {shlex.quote(str(run))}. Received: a folder without {training.METRICS_FILE}"
        )
    model, record = training.load(run)
    if record is None:
        raise ValueError(
            f"The model in {str(run)!r} was not trained by keras-ff train; use "
            f"`keras_ff.zoo.publish`. Received: a model without the record of a run"
        )
    metrics = training.read_json(run / training.METRICS_FILE)
    of_run = {name: metrics[name] for name in ("seconds", "machine", "versions")}
    of_run["as_trained"] = {
        name: metrics[name] for name in ("validation_accuracy", "test_accuracy")
    }
    config = TrainingConfig.from_dict(record["config"])
    data = None
    if "command" in record:  # by which it was trained, and not by the configuration alone
        data = config.data.to_dict()
        of_run |= {"command": record["command"], "epochs": config.epochs, "seed": config.seed}
        config = None
    return publish(model, path, data, weights, config, data_dir, **{**of_run, **known})


def save_recipe(config, path, data_dir=None, **known):
    """Make a preset of a configuration alone, to be trained by `keras-ff zoo train`.

    Args:
        config: a `TrainingConfig`, such as the best one that `keras_ff.tuning.tune` found.
        path, data_dir, **known: as for `publish`.

    Returns:
        The `keras_ff.zoo.Preset`.

    Raises:
        ValueError: as for `keras_ff.zoo.save`.

    Example:

    >>> from keras_ff.recipes import TrainingConfig
    >>> config = TrainingConfig.for_dataset("digits", activation="tanh")
    >>> preset = save_recipe(config, "presets/digits_mlp_tanh")
    >>> TrainingConfig.of_preset(preset) == config
    True
    >>> preset.storage is None
    True
    """
    info = datasets.info(config.dataset, data_dir=data_dir)
    train, _, _ = config.load_data(data_dir=data_dir)
    image_shape = train.element_spec[0].shape[1:]
    samples = config.training_samples(data_dir)
    model = config.new_model(tuple(image_shape), info.num_classes, len(train), samples)
    return saving.save(model, path, None, config, dataset_version=info.version, **known)


def smallest_storage(model, validation):
    """The smallest storage that loses at most 0.05 percentage points of validation accuracy.

    `"float16"` where there are no validation data.
    """
    if validation is None:
        return "float16"
    least = measuring.accuracy(model, validation) - LOSS
    for kind in storage.STORAGES[:-1]:
        files = saving.contents(model, kind)
        shipped = loading.model_of(files[CONFIG_FILE], files[WEIGHTS_FILE], model.name)
        if measuring.accuracy(shipped, validation) >= least:
            return kind
    return storage.STORAGES[-1]


def _pictures(model, x, y):
    """Pictures on held-out samples: a dictionary from name to bytes."""
    from keras_ff import visualization

    x, y = x[:PICTURE_SAMPLES], y[:PICTURE_SAMPLES]
    found = {GOODNESS_PICTURE: _as_png(visualization.goodness_separation(model, x, y))}
    # Where the first layer's weights are no images, the card goes without.
    with contextlib.suppress(ValueError):
        found[FILTERS_PICTURE] = _as_png(visualization.filters(model, FILTERS))
    return found


def _as_png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=RESOLUTION)
    return file.getvalue()


def _samples(data):
    return 0 if data is None else sum(len(y) for _, y in data)


def _check_size(files):
    for name, content in files.items():
        if len(content) > LARGEST_FILE:
            raise ValueError(
                f"A file of a preset with a card has at most {LARGEST_FILE / 1e6:.0f} MB: store "
                f"the weights as 'int6', or make the network smaller. Received: {name} of "
                f"{len(content) / 1e6:.1f} MB"
            )
