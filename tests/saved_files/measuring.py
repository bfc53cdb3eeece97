"""How saved models are measured: by the script that made them and by the test that loads them."""

import functools
import json
import math
import pathlib
import re

import keras
import sklearn.datasets

import keras_ff

FOLDER = pathlib.Path(__file__).parent

# Of the digits that come with scikit-learn, in their order.
TRAINING = slice(0, 128)
VALIDATION = slice(128, 192)
SCORED = slice(192, 208)
BATCH = {"batch_size": 32, "verbose": 0}


def samples(part, scale):
    """Images of shape (samples, 8, 8, 1) with values from 0 to 16 times `scale`, and labels."""
    images, labels = _digits()
    return images[part] * scale, labels[part]


@functools.cache
def _digits():
    digits = sklearn.datasets.load_digits()
    return digits.images[..., None].astype("float32"), digits.target.astype("int32")


def load(name):
    """The model of a `.keras` file of this folder, or of a preset's folder in it."""
    path = FOLDER / f"{name}.keras"
    if path.exists():
        return keras.saving.load_model(path)
    return keras_ff.FFModel.from_preset(FOLDER / name)


def fit(model, steps, scale, callbacks=()):
    """Train a model, or each member of an ensemble.

    Args:
        model: a compiled `FFModel`, or an `FFEnsemble` of them.
        steps: list of dictionaries: arguments of `fit`; besides `readout`, whether `fit_readout`
            is meant, `labels`, whether it gets labels, and `validation`, whether it gets
            validation data.
        scale: as for `samples`.
        callbacks: list of Keras callbacks.
    """
    x, y = samples(TRAINING, scale)
    for step in steps:
        arguments = dict(step)
        if arguments.pop("validation", False):
            arguments["validation_data"] = samples(VALIDATION, scale)
        data = (x, y) if arguments.pop("labels", True) else (x,)
        method = "fit_readout" if arguments.pop("readout", False) else "fit"
        for learner in getattr(model, "members", [model]):
            getattr(learner, method)(
                *data, shuffle=False, callbacks=list(callbacks), **arguments, **BATCH
            )


def scores(model, scale):
    """What a model predicts for 16 samples."""
    return model.predict(samples(SCORED, scale)[0], **BATCH)


def evaluation(model, scale):
    """Loss, accuracy and the loss of each layer on 64 samples; no layers that are unreached."""
    x, y = samples(VALIDATION, scale)
    results = model.evaluate(x, y, return_dict=True, **BATCH)
    kept = {
        name: float(value)
        for name, value in results.items()
        if re.fullmatch(r"loss|accuracy|layer_\d+/loss", name)
    }
    return {name: value for name, value in kept.items() if math.isfinite(value)}


def measured(model, go_on, scale):
    """Evaluate a model, let it go on with its training, and measure it again."""
    before = evaluation(model, scale)
    fit(model, go_on, scale)
    return {
        "evaluation": before,
        "scores_after": scores(model, scale),
        "evaluation_after": evaluation(model, scale),
    }


def expected(name):
    """The expected values of a saved file, and how it goes on."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def backend():
    """Name of the backend, under which expected values are kept."""
    return keras.backend.backend()
