"""Make the saved files of this folder and the values that are expected of them.

The files stand for those that users have: made by an old version, read by every later one. Make
files again only to add some, by code at the commit below, in a checkout of it:

    git worktree add ../old a4f72d5
    cd ../old && PYTHONPATH=. python ../keras_ff/tests/saved_files/make.py [NAME ...]

Without names all are made. Those in the folder were made at commit a4f72d5 (keras_ff 0.1.0);
every JSON file has the versions of what else was used. Random numbers differ between backends, so
that values after a step of training are kept for each; what `KERAS_BACKEND` names is added. Files
are as the old version wrote them, but compressed.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import measuring
import numpy as np

import keras_ff
from keras_ff import labels, layer_schedules, layers, losses, models, negatives, readouts, training
from keras_ff.recipes import TrainingConfig

FOLDER = measuring.FOLDER
FROM_0_TO_1 = 1 / 16
DIGITS = 7
ENTIRE, HALF = {"epochs": 6}, 3


class Case:
    """A model to be saved in the midst of its training.

    Args:
        model: function that returns a compiled model.
        first: list of steps, as for `measuring.fit`, before the model is saved.
        go_on: such steps after it is loaded.
        stop_after: number of epochs after which the last of `first` is broken off, or `None`.
        saves_itself: whether it is a callback that saves the model within `fit`.
        preset: whether it is saved as a preset, which has no optimizers.
        scale: as for `measuring.samples`.
        backend: the one under which it is made.
        **more: entries for the JSON file, such as `tolerance`: how far scores may be away,
            relative to them and absolute, before and after the model goes on.
    """

    def __init__(
        self,
        model,
        first=({"epochs": 3},),  # noqa: B006, copied below
        go_on=({"epochs": 6, "initial_epoch": 3},),  # noqa: B006
        stop_after=None,
        saves_itself=False,
        preset=False,
        scale=FROM_0_TO_1,
        backend="tensorflow",
        **more,
    ):
        self.model = model
        self.first = list(first)
        self.go_on = list(go_on)
        self.stop_after = stop_after
        self.saves_itself = saves_itself
        self.preset = preset
        self.scale = scale
        self.backend = backend
        self.more = more


CASES = {}


def case(**settings):
    """Keep a function that returns a compiled model as a case of the function's name."""

    def keep(model):
        CASES[model.__name__] = Case(model, **settings)
        return model

    return keep


def compiled(model, optimizer=None, loss=None):
    model.compile(optimizer or keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


# The models. Layers are as small as scores allow that tell classes apart.


@case(first=[ENTIRE], stop_after=HALF)
def greedy():
    """In the midst of the second of three layers."""
    hidden = [layers.FFDense(24) for _ in range(3)]
    return compiled(keras_ff.FFModel(hidden, 10, negatives=negatives.RandomLabels(count=2)))


VALIDATED = {"validation": True}


@case(
    first=[{"epochs": 3, **VALIDATED}],
    go_on=[{"epochs": 6, "initial_epoch": 3, **VALIDATED}],
)
def class_group_convolutions():
    """Layers chosen by validation data, a supervised contrastive term, decayed weights."""
    convolutions = [
        layers.FFConv2D(
            filters,
            goodness="class_groups",
            normalization="class_groups",
            pooling=keras.layers.AveragePooling2D(2),
            auxiliary=losses.SupCon(units=8, weight=0.5),
        )
        for filters in (10, 20)
    ]
    model = keras_ff.FFModel(
        convolutions,
        10,
        label_embedding=None,
        negatives=None,
        layer_schedule="simultaneous",
        readout=readouts.Goodness("validation"),
    )
    return compiled(model, keras.optimizers.AdamW(0.01, weight_decay=0.01, clipnorm=1.0))


@case(first=[ENTIRE], stop_after=HALF, saves_itself=True)
def averaged_softmax():
    """A softmax head; the file has weights and their moving averages, each in its place."""
    hidden = [layers.FFDense(24, activation="gelu") for _ in range(2)]
    readout = readouts.Softmax("all", standardized=True)
    model = keras_ff.FFModel(hidden, 10, layer_schedule="simultaneous", readout=readout)
    return compiled(model, keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9))


@case()
def label_map():
    """A label embedding that learns, with the first layer."""
    hidden = [
        layers.FFConv2D(6, pooling=keras.layers.MaxPooling2D(2)),
        layers.FFDense(20),
    ]
    model = keras_ff.FFModel(
        hidden, 10, label_embedding=labels.LabelMap(), layer_schedule="simultaneous"
    )
    return compiled(model)


@case()
def residual():
    """Shortcuts around one layer and around two, added and side by side."""
    hidden = [
        layers.FFDense(20, activation="tanh"),
        layers.FFResidual(keras.layers.Dense(20), activation="tanh"),
        layers.FFResidual(keras.layers.Dense(12), activation="tanh", span=2, merge="concatenate"),
        layers.FFDense(16, activation="tanh"),
    ]
    return compiled(keras_ff.FFModel(hidden, 10, layer_schedule="simultaneous"))


@case(scale=1.0)
def residual_class_groups():
    """A shortcut joined class by class; a layer before the first FF layer, that shifts pixels."""

    def convolution(filters):
        return keras.layers.Conv2D(filters, 3, padding="same")

    groups = {"goodness": "class_groups", "normalization": "class_groups"}
    stack = [
        keras.layers.Rescaling(1 / 8, offset=-1.0),
        layers.FFConv2D(10, strides=2, **groups),
        layers.FFResidual(convolution(20), "relu", merge="class_groups", **groups),
        layers.FFDense(20, **groups),
    ]
    model = keras_ff.FFModel(
        stack, 10, label_embedding=None, negatives=None, layer_schedule="simultaneous"
    )
    return compiled(model)


@case()
def peer_normalization():
    """Peer normalization and a learned threshold in each layer."""
    hidden = [
        layers.FFDense(
            24, activation="relu_full_grad", auxiliary=layers.PeerNormalization(weight=0.1)
        )
        for _ in range(2)
    ]
    model = keras_ff.FFModel(hidden, 10, layer_schedule="simultaneous")
    return compiled(model, loss=losses.Logistic(threshold="learned", margin=0.2))


@case()
def recurrent():
    """Layers that hear from above and below."""
    return compiled(models.recurrent((20, 16), iterations=4, scored=(2, 3)))


@case()
def ensemble():
    """A contrastive network and one of class groups, which go on one after the other."""
    one = compiled(models.mlp((20, 16), layer_schedule="simultaneous"))
    hidden = [layers.FFDense(20, goodness="class_groups", normalization="class_groups")]
    other = compiled(keras_ff.FFModel(hidden, 10, label_embedding=None, negatives=None))
    for member in (one, other):
        member.build((None, 8, 8, 1))
    both = models.FFEnsemble([one, other], shares=[2, 1])
    both.compile(loss=keras.losses.SparseCategoricalCrossentropy(True), metrics=["accuracy"])
    return both


@case()
def pipelined():
    """Layers with optimizers and losses of their own."""
    hidden = [
        layers.FFDense(24, optimizer=keras.optimizers.SGD(0.1, momentum=0.9)),
        layers.FFDense(20, goodness="mean_activity", loss=losses.LabelSoftmax(alpha=2.0)),
    ]
    model = keras_ff.FFModel(
        hidden,
        10,
        negatives=negatives.RandomLabels(count=3),
        layer_schedule=layer_schedules.Pipelined(),
    )
    return compiled(model, loss=losses.LabelSoftmax())


@case(tolerance=[[2e-2, 2e-2], [5e-2, 5e-2]])
def mixed_bfloat16():
    """Made under Keras's dtype policy."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    hidden = [layers.FFDense(24), layers.FFDense(20, normalization="batch")]
    model = compiled(keras_ff.FFModel(hidden, 10, layer_schedule="simultaneous"))
    keras.config.set_dtype_policy("float32")
    return model


@case(backend="jax")
def under_jax():
    """Made under JAX; a softmax head beside the layers, which draws the wrong labels."""
    hidden = [layers.FFDense(24) for _ in range(2)]
    model = keras_ff.FFModel(
        hidden,
        10,
        negatives=negatives.HardLabels(),
        layer_schedule="simultaneous",
        readout="softmax",
    )
    return compiled(model)


WITHOUT_LABELS = {"labels": False}


@case(
    first=[{"epochs": 3, **WITHOUT_LABELS}, {"readout": True, "epochs": 3}],
    go_on=[{"epochs": 2, **WITHOUT_LABELS}, {"readout": True, "epochs": 2}],
)
def unsupervised():
    """Negatives that are images, and a readout that learns after the layers."""
    hidden = [layers.FFDense(24) for _ in range(2)]
    model = keras_ff.FFModel(
        hidden,
        10,
        label_embedding=None,
        negatives=negatives.HybridImages(blurs=2),
        layer_schedule="simultaneous",
        readout=readouts.Softmax("all", kernel_regularizer=keras.regularizers.L2(1e-4)),
    )
    return compiled(model)


@case()
def layers_between():
    """Keras layers between FF layers, one of them with weights, which stay."""
    normalization = keras.layers.BatchNormalization()
    stack = [
        layers.FFConv2D(8),
        keras.layers.MaxPooling2D(2),
        normalization,
        keras.layers.Flatten(),
        layers.FFDense(20),
    ]
    model = keras_ff.FFModel(
        stack, 10, label_embedding=labels.SpatialPattern(), layer_schedule="simultaneous"
    )
    model.build((None, 8, 8, 1))
    place = np.linspace(0.5, 1.5, 8)
    normalization.set_weights([place, place - 1, place / 4, place / 2])
    return compiled(model)


@case(scale=1.0)
def leading_layer():
    """A Keras layer before the first FF layer: pixels from 0 to 16 are brought to 1."""
    stack = [keras.layers.Rescaling(1 / 16), *(layers.FFDense(24) for _ in range(2))]
    return compiled(keras_ff.FFModel(stack, 10, layer_schedule="simultaneous"))


@case(scale=1.0)
def leading_layer_sees_labels():
    """As before, but with an offset: at this commit the label is embedded before such a layer."""
    stack = [
        keras.layers.Rescaling(1 / 8, offset=-1.0),
        *(layers.FFDense(24) for _ in range(2)),
    ]
    return compiled(keras_ff.FFModel(stack, 10, layer_schedule="simultaneous"))


@case()
def attention():
    """Attention among patches, labels in each of them, overlapping pairs of layers."""
    hidden = [
        layers.FFAttention(2, 6, units=20, patch_size=4),
        layers.FFDense(20),
    ]
    model = keras_ff.FFModel(
        hidden,
        10,
        label_embedding=labels.TokenLabels(),
        negatives=negatives.AllLabels(),
        layer_schedule="alternating",
    )
    rate = keras_ff.learning_rates.ConstantThenLinear(0.01, total_steps=24)
    return compiled(model, keras.optimizers.Adam(rate), "label_softmax")


@case(first=[ENTIRE], stop_after=HALF)
def windows():
    """Kernels that differ from place to place, labels in pixels, windows of epochs."""
    hidden = [
        layers.FFLocallyConnected2D(3, 3, strides=2),
        layers.FFDense(20, normalization="centered_length"),
    ]
    model = keras_ff.FFModel(
        hidden,
        10,
        label_embedding=labels.Overlay(),
        negatives=negatives.FixedLabels(),
        layer_schedule=layer_schedules.Windows(overlap=0.5),
    )
    return compiled(model)


@case(preset=True, first=[{"epochs": 10}], go_on=[{"epochs": 2}])
def preset():
    """A preset in the first format: convolutions, and a head that sees their averages."""
    groups = {"goodness": "class_groups", "normalization": "class_groups"}
    convolutions = [
        layers.FFConv2D(filters, pooling=keras.layers.AveragePooling2D(2), **groups)
        for filters in (10, 20)
    ]
    model = keras_ff.FFModel(
        convolutions,
        10,
        label_embedding=None,
        negatives=None,
        layer_schedule="simultaneous",
        readout=readouts.Softmax("all", regions=1, standardized=True, mirrored=True, shift=1),
    )
    return compiled(model)


# Making and measuring.


class StopAfter(keras.callbacks.Callback):
    """Breaks `fit` off after some epochs of it."""

    def __init__(self, epochs):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 == self.epochs


def make(name):
    """Train a model for a while and save it; what it does when it goes on at once."""
    one, path = CASES[name], FOLDER / f"{name}.keras"
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = one.model()
    callbacks = [StopAfter(one.stop_after)] if one.stop_after else []
    if one.saves_itself:
        callbacks.insert(0, keras.callbacks.ModelCheckpoint(path, save_freq="epoch"))
    measuring.fit(model, one.first, one.scale, callbacks)
    if one.preset:
        model.save_to_preset(FOLDER / name, weights="int8")
    elif not one.saves_itself:
        model.save(path)
    if not one.preset:
        pack(path)
    scores = rounded(measuring.scores(measuring.load(name), one.scale))
    content = {
        "commit": "a4f72d5",
        "versions": {**training.versions(), "numpy": np.__version__},
        "about": one.model.__doc__,
        "scale": one.scale,
        "go_on": one.go_on,
        **one.more,
        "scores": scores,
    }
    write(name, content)
    if not one.saves_itself and not one.preset:
        compare(name, "as saved", measuring.scores(model, one.scale), scores)
        measuring.fit(model, one.go_on, one.scale)
        return measuring.scores(model, one.scale)
    return None


def measure(name, undisturbed=None):
    """Add to the expected values those of a file under this backend."""
    content, one = measuring.expected(name), CASES[name]
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = measuring.load(name)
    before = measuring.scores(model, one.scale)
    compare(name, f"scores under {measuring.backend()}", before, content["scores"])
    values = measuring.measured(model, one.go_on, one.scale)
    moved = float(np.abs(values["scores_after"] - before).max())
    print(f"{name}: scores moved by {moved:.3g}", values["evaluation"], values["evaluation_after"])
    if undisturbed is not None:
        compare(name, "going on undisturbed", undisturbed, values["scores_after"])
    content[measuring.backend()] = {key: rounded(value) for key, value in values.items()}
    write(name, content)


def compare(name, what, one, other):
    """Say how far values are from each other."""
    apart = float(np.abs(np.asarray(one) - np.asarray(other)).max())
    print(f"{name}: {what}: {apart:.2g} apart")


def pack(path):
    """Compress the entries of a .keras file, which Keras stores as they are."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def rounded(values):
    """Numbers with seven significant digits."""
    if isinstance(values, dict):
        return {key: rounded(value) for key, value in values.items()}
    if np.ndim(values):
        return [rounded(value) for value in values]
    return float(f"{values:.{DIGITS}g}")


def write(name, content):
    """Write a JSON file, rows of numbers each on a line."""
    text = json.dumps(content, indent=1)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda row: " ".join(row[0].split()), text)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")


# Runs of `keras-ff train`, which are killed.

RUNS = {
    # Two of six epochs are left, in which the second layer learns.
    "run_in_layer": (
        "--units 24,16 --epochs 6 --layer-schedule greedy --threshold learned "
        "--batch-size 128 --learning-rate 0.01",
        "4",
    ),
    # The layers have learned; the readout has not.
    "run_in_readout": (
        "--architecture cnn --units 10,20 --epochs 2 --dtype-policy float32 --flip --shift 1 "
        "--weight-averaging 0.9 --readout softmax_of_averages --readout-epochs 3 "
        "--batch-size 128",
        "readout",
    ),
}


def make_run(name):
    """Start `keras-ff train`, and kill it after some epochs or in the readout's."""
    options, moment = RUNS[name]
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-u", "-m", "keras_ff.cli", "train", *options.split()]
    with tempfile.TemporaryDirectory() as temporary:
        run = pathlib.Path(temporary) / "run"
        process = subprocess.Popen([*command, "--out", str(run)], stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if moment == "readout" and "now the readout does" in line:
                break
            # The line of an epoch comes before its file.
            if moment != "readout" and line.startswith(f"Epoch {int(moment) + 1}/"):
                break
        process.kill()
        process.communicate()
        shutil.copytree(run, folder, ignore=shutil.ignore_patterns("*.partial*"))
    pack(folder / training.MODEL_FILE)


def measure_run(name):
    """The metrics and the history with which a run ends that is resumed."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "run"
        shutil.copytree(FOLDER / name, folder)
        _, run = training.load(folder)
        config = TrainingConfig.from_dict(training.read_json(folder / "config.json"))
        metrics = training.train(config, folder, resume=True, verbose=0)
        history = training.read_json(folder / "history.json")
    print(name, "stopped after", run["epoch"], "epochs;", metrics["test_accuracy"])
    kept = ("test_accuracy", "validation_accuracy", "confusion_matrix", "epochs", "parameters")
    content = {
        "commit": "a4f72d5",
        "versions": training.versions(),
        "command": f"keras-ff train {RUNS[name][0]}",
        "stopped_after": run["epoch"],
        "metrics": {key: metrics[key] for key in kept},
        "history": {
            key: [value if value is None else rounded(value) for value in values]
            for key, values in history.items()
            if re.fullmatch(r"(val_)?(accuracy|layer_\d+/loss)", key)
        },
    }
    write(name, content)


# Presets.


def measure_zoo():
    """Scores of presets of the zoo."""
    content = {"commit": "a4f72d5", "versions": training.versions(), "scale": FROM_0_TO_1}
    for name in ("digits_mlp_relu", "digits_mlp_tanh"):
        model = keras_ff.FFModel.from_preset(name)
        content[name] = rounded(measuring.scores(model, FROM_0_TO_1))
    write("zoo", content)


def main(names, only_measure):
    """Make and measure under this backend, then measure under the other one."""
    backend = measuring.backend()
    for name in names:
        if name in CASES:
            undisturbed = None
            if not only_measure and CASES[name].backend == backend:
                undisturbed = make(name)
            if (FOLDER / f"{name}.json").exists():
                measure(name, undisturbed)
        elif backend == "tensorflow" and not only_measure:
            if name in RUNS:
                make_run(name)
                measure_run(name)
            else:
                measure_zoo()


if __name__ == "__main__":
    every = [*CASES, *RUNS, "zoo"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(every))
    parser.add_argument("--only-measure", action="store_true", help="keep the files")
    options = parser.parse_args()
    main(options.names or every, options.only_measure)
