"""The contract of `fit`, on drawn models, data and callbacks: it trains, or is refused before.

Ten small examples are quick; `python -m pytest -m slow tests/test_contract.py` draws 500 of all
sizes, or as many as the variable KERAS_FF_EXAMPLES says.
"""

import os

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings, strategies
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.layers import FFConv2D, FFDense
from tests.models.test_ff_model_combinations import (
    AUXILIARY,
    CLASSES,
    KINDS,
    LOSSES,
    NEGATIVES,
    READOUTS,
    WIDTH,
    part,
)

DRAWN = {
    **{kind: strategies.sampled_from(values) for kind, values in KINDS.items() if kind != "layer"},
    "layer": strategies.sampled_from(["dense", "conv"]),
    "num_layers": strategies.integers(1, 3),
    "shape": strategies.sampled_from([(6, 5, 1), (5, 6, 3), (11,)]),
    "type": strategies.sampled_from(["float32", "float64", "uint8", "int64", "bool"]),
    "policy": strategies.sampled_from(["float32", "mixed_bfloat16"]),
    "one_hot": strategies.booleans(),
    "weighted": strategies.booleans(),
    "samples": strategies.integers(4, 6),
    "batch_size": strategies.integers(3, 6),
    "epochs": strategies.integers(1, 4),
    "goes_on": strategies.booleans(),
    "callbacks": strategies.sets(strategies.sampled_from(["stop", "keep", "plateau", "schedule"])),
}


def drawn_family(values):
    """Values that more often than not belong together: parts of one family."""
    if values["goodness"] in ("class_groups", "local_classifier"):
        values["loss"] = "sparse_categorical_crossentropy"
        values["label_embedding"] = values["negatives"] = None
    elif values["loss"] == "sparse_categorical_crossentropy":
        values["loss"] = "symba"
    if values["samples"] % values["batch_size"] == 1:
        values["samples"] += 1  # of one sample alone no other is a negative
    return values


EXAMPLES = strategies.fixed_dictionaries(DRAWN).map(drawn_family)


def made(drawn):
    """The compiled and built model of an example; ValueError where it is refused."""
    kind = FFDense if drawn["layer"] == "dense" else FFConv2D
    layers = [
        kind(
            WIDTH,
            activation=drawn["activation"],
            goodness=drawn["goodness"],
            normalization=drawn["normalization"],
            auxiliary=part(AUXILIARY, drawn["auxiliary"]),
        )
        for _ in range(drawn["num_layers"])
    ]
    model = keras_ff.FFModel(
        layers,
        CLASSES,
        label_embedding=drawn["label_embedding"],
        negatives=part(NEGATIVES, drawn["negatives"]),
        layer_schedule=drawn["layer_schedule"],
        readout=part(READOUTS, drawn["readout"]),
    )
    model.compile(
        keras.optimizers.Adam(0.01),
        part(LOSSES, drawn["loss"]),
        metrics=["accuracy"],
        run_eagerly=True,
    )
    model.build((None, *drawn["shape"]))
    return model


def callbacks_of(drawn, folder):
    known = {
        "stop": lambda: keras.callbacks.EarlyStopping(patience=0, restore_best_weights=True),
        "keep": lambda: keras.callbacks.ModelCheckpoint(folder / "best.keras", save_best_only=True),
        "plateau": lambda: keras.callbacks.ReduceLROnPlateau(patience=0),
        "schedule": lambda: keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.9 * rate),
    }
    return [known[name]() for name in sorted(drawn["callbacks"])]


def data_of(drawn):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 2 if drawn["type"] == "bool" else 200, (drawn["samples"], *drawn["shape"]))
    y = np.arange(drawn["samples"]) % CLASSES
    y = np.eye(CLASSES, dtype="float32")[y] if drawn["one_hot"] else y
    weight = rng.uniform(0.5, 1.5, drawn["samples"]) if drawn["weighted"] else None
    return x.astype(drawn["type"]), y, weight


def values(model):
    return [convert_to_numpy(weight) for weight in model.weights]


def keeps_contract(drawn, folder):
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy(drawn["policy"])
    try:
        model = made(drawn)
    except ValueError as error:
        assert "Received" in str(error)
        return
    x, y, weight = data_of(drawn)
    how = {"batch_size": drawn["batch_size"], "shuffle": False, "verbose": 0}
    model.fit(
        x,
        y,
        sample_weight=weight,
        epochs=drawn["epochs"],
        validation_data=(x, y),
        callbacks=callbacks_of(drawn, folder),
        **how,
    )
    # All layers are trained, in the files that callbacks wrote too.
    assert int(model.layers_trained) == drawn["num_layers"]
    assert {index for stage in model.stages for index in stage.layers} == set(
        range(drawn["num_layers"])
    )
    if "keep" in drawn["callbacks"]:
        best = keras.saving.load_model(folder / "best.keras")
        assert int(best.layers_trained) == drawn["num_layers"]
    assert all(np.isfinite(value).all() for value in values(model))
    probabilities = model.predict_proba(x, verbose=0)
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-3)
    if not drawn["goes_on"]:
        return
    # Saved and loaded, training goes on to the same weights.
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")
    for one in (model, loaded):
        keras.utils.set_random_seed(2)
        one.fit(x, y, sample_weight=weight, validation_data=(x, y), epochs=1, **how)
    for value, other in zip(values(model), values(loaded), strict=True):
        np.testing.assert_array_equal(value, other)


ORDINARY = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate],  # smaller examples of a failure would take minutes to find
}


def small(drawn):
    """One that takes a second: at most two layers, a batch, few epochs, and nothing saved."""
    callbacks = drawn["callbacks"] - {"keep"}
    fewer = {"num_layers": min(drawn["num_layers"], 2), "epochs": 2 if callbacks else 1}
    fewer |= {"batch_size": drawn["samples"], "callbacks": callbacks}
    return {**drawn, **fewer, "goes_on": False}


@settings(max_examples=10, **ORDINARY)
@given(drawn=EXAMPLES.map(small))
def test_ten_examples(drawn, tmp_path_factory):
    keeps_contract(drawn, tmp_path_factory.mktemp("contract"))


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.parametrize("number", range(int(os.environ.get("KERAS_FF_EXAMPLES", "500")) // 10))
def test_five_hundred_examples(number, tmp_path_factory):
    @seed(number)
    @settings(max_examples=10, **{**ORDINARY, "derandomize": False})
    @given(drawn=EXAMPLES)
    def ten(drawn):
        keeps_contract(drawn, tmp_path_factory.mktemp("contract"))

    ten()
