"""The report of a run, or of a preset."""

import contextlib
import dataclasses
import math
import pathlib
import shlex

import numpy as np

from keras_ff import datasets, measurements, training, visualization, zoo
from keras_ff.models import FFModel
from keras_ff.presets.folders import is_preset
from keras_ff.recipes import TrainingConfig
from keras_ff.report import page
from keras_ff.utils import extras
from keras_ff.utils.files import path_of
from keras_ff.utils.text_tables import plainly

REPORT_FILE = "report.html"
# Held-out samples that the layers are measured on, at most.
SAMPLES = 2000


def write(run_or_preset, out=None, data_dir=None):
    """Write a page about a run or a preset, with its pictures in it and nothing from elsewhere.

    The layers are measured on the first 2,000 validation samples (on test samples where there are
    none for validation); what is said of the test set is what the run's `metrics.json` holds, or
    the preset's card.

    Args:
        run_or_preset: string or path: a folder that `keras_ff.training.train` has made, or a
            preset's folder or name, as for `keras_ff.FFModel.from_preset`.
        out: string or path of the page. Defaults to `None`: `report.html` in the run's folder, or
            a file with the preset's name in the current folder.
        data_dir: as for `keras_ff.datasets.load`. Defaults to `None`.

    Returns:
        The page's path.

    Raises:
        ValueError: if there is no such run or preset, the preset is an ensemble or does not say on
            what data it was trained, or the data cannot be loaded.
        ImportError: if the extra `datasets` or `plot` is not installed; it is a `ValueError` as
            well.

    Example:

    >>> from keras_ff import report, training
    >>> config = keras_ff.recipes.TrainingConfig.for_dataset(units=32, epochs=1)
    >>> metrics = training.train(config, "runs/first", verbose=0)
    >>> report.write("runs/first").name
    'report.html'
    """
    extras.require("Reports", "plot", "matplotlib", "scipy")
    folder = path_of(run_or_preset)
    # A name alone may be that of a preset; other paths are those of folders.
    if not is_preset(folder) and (folder.is_dir() or len(folder.parts) > 1):
        run, path = _of_run(folder, data_dir), folder / REPORT_FILE
    else:
        run = _of_preset(zoo.get(run_or_preset), data_dir)
        path = pathlib.Path(f"{run.name}.html")
    path = path if out is None else path_of(out)
    text = page.page(run.name, *[section(run) for section in _SECTIONS])
    path.write_text(text, encoding="utf-8")
    return path


def _of_run(folder, data_dir):
    """What is known of a run."""
    model, record = training.load(folder)
    if record is None:
        raise ValueError(
            f"{str(folder)!r} holds a model that no run has written. Make one with "
            "`keras-ff train`."
        )
    metrics = {}
    if (folder / training.METRICS_FILE).exists():
        metrics = training.read_json(folder / training.METRICS_FILE)
    config = TrainingConfig.from_dict(record["config"])
    command, options = record.get("command"), config.options()
    if command is not None:  # the configuration then says of the data alone
        options = config.data.to_dict()
    return _Subject(
        name=folder.resolve().name,
        model=model,
        data=config.data,
        options=options,
        command=command or config.command(),
        epochs=f"{record['epoch']} of {config.epochs}",
        history=record["history"],
        metrics=metrics,
        left=None if metrics else f"{command or 'keras-ff train'} {_to_resume(folder)}",
        data_dir=data_dir,
    )


def _to_resume(folder):
    return shlex.join(["--resume", "--out", str(folder)])


def _of_preset(preset, data_dir):
    """The same of a preset, which keeps no history."""
    members = preset.members()
    if members:
        names = ", ".join(repr(member.name) for member, _ in members)
        raise ValueError(
            f"The preset {preset.name!r} is an ensemble and has no layers of its own: report on "
            f"its members, {names}."
        )
    options = preset.data_options()
    if options is None:
        raise ValueError(
            f"The preset {preset.name!r} does not say on what data it was trained, so that its "
            "layers cannot be measured. Received: metadata without 'data'"
        )
    recipe = TrainingConfig.of_preset(preset)
    return _Subject(
        name=preset.name,
        model=preset.model(),
        data=datasets.DataConfig.from_dict(options),
        options=recipe.options() if recipe else options,
        command=preset.metadata.get("command"),
        epochs=preset.metadata.get("epochs"),
        history={},
        metrics=preset.metadata,
        left=None,
        data_dir=data_dir,
    )


@dataclasses.dataclass
class _Subject:
    """What is known of a network and its training, measured once.

    `options` are the configuration as far as it is known, `metrics` as in `metrics.json`, and
    `left` is the command that goes on with the training, `None` where it is complete.
    """

    name: str
    model: FFModel
    data: datasets.DataConfig
    options: dict
    command: str | None
    epochs: int | str | None
    history: dict
    metrics: dict
    left: str | None
    data_dir: str | None

    def __post_init__(self):
        self.dataset = self.data.dataset
        info = datasets.info(self.dataset, data_dir=self.data_dir)
        self.class_names = list(info.class_names)
        _, validation, test = self.data.load(data_dir=self.data_dir)
        self.part = "test" if validation is None else "validation"
        held_out = test if validation is None else validation
        self.x, self.y = measurements.first_samples(held_out, SAMPLES)
        self.measured = measurements.measure(self.model, self.x, self.y)
        self.scores = self.model.predict(self.x, verbose=0)

    @property
    def samples(self):
        """The samples that were measured, in words."""
        return f"{len(self.x):,} {self.part} samples"


def _locality(number):
    """How many trainable matrices a gradient passes."""
    return "1, strictly local" if number == 1 else str(number)


# Sections. Each is an element, or `None` where there is nothing to say.


def _heading(run):
    metrics = run.metrics
    pairs = [
        ("test accuracy", _percent(metrics.get("test_accuracy"))),
        ("validation accuracy", _percent(metrics.get("validation_accuracy"))),
        ("epochs", run.epochs),
        ("training", _with_unit(metrics.get("seconds"), "s")),
        ("samples per second", _with_unit(metrics.get("samples_per_second"), "")),
        ("parameters", f"{run.model.count_params():,}"),
        ("locality", _locality(run.model.locality)),
    ]
    words = f"A network trained on {run.dataset}, layer by layer, by keras_ff."
    state = None
    if run.left is not None:
        state = page.element(
            "p",
            "The run is not complete, so that nothing is said of the test set. ",
            page.element("code", run.left),
            " goes on with it.",
        )
    return page.element(
        "header",
        page.element("h1", run.name),
        page.element("p", words, class_="faint"),
        state,
        page.metrics([(name, value) for name, value in pairs if value is not None]),
    )


def _curves(run):
    words = "Loss of each layer, and accuracy of the network, after every epoch."
    drawn = _picture(words, visualization.learning_curves, run.history)
    return page.section("How it learned", drawn)


def _layers(run):
    measured = run.measured
    accuracies = zip(measured.accuracy_alone(), measured.accuracy_of_first(), strict=True)
    columns = [
        {
            "units or channels": f"{layer.unit_range.size:,}",
            "loss in training (nats)": _last(run.history, f"layer_{layer.number}/loss"),
            "loss in validation (nats)": _last(run.history, f"val_layer_{layer.number}/loss"),
            "positive goodness": _number(layer.positive_goodness.mean()),
            "negative goodness": _number(layer.negative_goodness.mean()),
            "separation": _number(layer.separation),
            "pair accuracy": _percent(layer.pair_accuracy),
            "accuracy alone": _percent(alone) or "–",
            "accuracy with layers below": _percent(together) or "–",
            "dead units": _percent(layer.dead_share),
            "saturated activities": _percent(layer.saturated_share),
        }
        for layer, (alone, together) in zip(measured.layers, accuracies, strict=True)
    ]
    head = ["", *[f"layer {layer.number}" for layer in measured.layers]]
    rows = [[name, *[column[name] for column in columns]] for name in columns[0]]
    positive, negative = measured.stream_names
    words = (
        f"Losses are means over the last epoch, all else was measured on {run.samples}. Positive "
        f"goodness is that of the {positive}, negative goodness that of the {negative}. Dead units "
        "respond to all samples alike; saturated activities lie where the activation has no slope, "
        "which under ReLU are the silent ones."
    )
    return page.section(
        "Layer by layer",
        page.element("p", words),
        page.table(head, rows),
        _picture(
            "Accuracy of each layer alone, and together with all layers before it.",
            visualization.layer_accuracy,
            measured,
        ),
    )


def _separation(run):
    words = (
        f"Goodness of {run.samples}, positives upwards, negatives downwards. The less the two "
        "overlap, the better a layer separates."
    )
    return page.section(
        "Separation", _picture(words, visualization.goodness_densities, run.measured)
    )


def _labels(run):
    words = (
        "Goodness of every label in each layer, by true class. A bright diagonal is what a layer "
        "should have; other bright cells are classes that it confuses."
    )
    return page.section(
        "Labels", _picture(words, visualization.label_goodness, run.measured, run.class_names)
    )


def _predictions(run):
    counts = run.metrics.get("confusion_matrix")
    if counts is None:
        return None
    shares = run.metrics["per_class_accuracy"]
    rows = [
        [name, f"{sum(row):,}", _percent(share) or "–"]
        for name, row, share in zip(run.class_names, counts, shares, strict=True)
    ]
    words = "Test samples by true and predicted class."
    drawn = _picture(words, visualization.confusion_matrix, counts, run.class_names)
    table = page.table(["class", "samples", "accuracy"], rows)
    return page.section("Predictions on the test set", drawn, table)


def _mistakes(run):
    right = float(np.mean(np.argmax(run.scores, axis=1) == run.y))
    words = (
        f"{_percent(right)} of {run.samples} were classified correctly. These are the mistakes "
        "of which the model was most sure."
    )
    drawn = _picture(
        words, visualization.misclassified, run.x, run.y, run.scores, 24, run.class_names
    )
    return page.section(f"Misclassified {run.part} samples", drawn)


def _inputs(run):
    words = "Samples as the first layer is given them in training, and with a neutral label."
    given = (run.model, run.x, run.y, 10, run.class_names)
    sheet = _picture(words, visualization.samples, *given)
    weights = _picture("Weights of the first layer's units.", visualization.filters, run.model)
    return page.section("Inputs, and weights of the first layer", sheet, weights)


def _configuration(run):
    options = [
        [name.replace("_", " "), plainly(value)]
        for name, value in run.options.items()
        if value is not None
    ]
    command = []
    if run.command is not None:
        command = [
            page.element("p", "The command that trains such a network:"),
            page.element("pre", page.element("code", run.command)),
        ]
    return page.section("Configuration", page.table([], options, class_="words"), *command)


def _origin(run):
    rows = list((run.metrics.get("versions") or {}).items())
    for name, value in (run.metrics.get("machine") or {}).items():
        rows.append((name, plainly(value)))
    return page.section(
        "Where it was trained", page.table([], rows, class_="words") if rows else None
    )


_SECTIONS = (
    *(_heading, _curves, _layers, _separation, _labels),
    *(_predictions, _mistakes, _inputs, _configuration, _origin),
)


# Words and numbers.


def _picture(words, draw, *arguments):
    """A picture, or `None` where such a model and such samples have none."""
    with contextlib.suppress(ValueError):
        return page.picture(draw(*arguments), words)


def _percent(share):
    if share is None or math.isnan(share):
        return None
    return f"{100 * share:.2f} %"


def _number(value):
    return f"{value:.4g}"


def _with_unit(value, unit):
    return None if value is None else f"{value:,.0f} {unit}".strip()


def _last(history, name):
    """The last known value of a metric, as text."""
    known = [value for value in history.get(name, []) if value is not None]
    known = [value for value in known if math.isfinite(value)]
    return _number(known[-1]) if known else "–"
