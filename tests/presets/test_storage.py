"""Weights of a preset are named by paths that do not depend on other parts of the model."""

import io

import numpy as np
import pytest

from keras_ff import FFModel, layers, readouts
from keras_ff.presets import storage


def built(units, readout):
    made = [layers.FFDense(width, goodness="class_groups") for width in units]
    model = FFModel(made, 2, label_embedding=None, negatives=None, readout=readout)
    model.build((None, 3))
    return model


def test_names_are_paths():
    model = built((4,), readouts.Goodness("validation"))
    names = np.load(io.BytesIO(storage.packed(model, "float32")))
    assert set(names.files) == {
        "layers_trained",
        "layers/0/transform/0_kernel",
        "layers/0/transform/1_bias",
        "readout/0_layer_choice",
        "temperature",
    }


def test_a_layer_has_the_same_names_whatever_stands_behind_it():
    short, long = (
        set(np.load(io.BytesIO(storage.packed(built(units, "goodness"), "float32"))).files)
        for units in ((4,), (4, 6))
    )
    assert short < long


@pytest.mark.parametrize("storage_kind", ["float32", "int8"])
def test_format_1_named_weights_by_their_places(storage_kind):
    """The choice of layers stood second there, before what it was counted from."""
    model, other = (built((4, 6), readouts.Goodness("validation")) for _ in range(2))
    model.readout.layer_choice.assign([0, 1])
    arrays = dict(np.load(io.BytesIO(storage.packed(model, storage_kind))).items())
    order = [
        "layers_trained",
        "readout/0_layer_choice",
        None,
        *[f"layers/{k}/transform/{name}" for k in (0, 1) for name in ("0_kernel", "1_bias")],
    ]
    old = {"002_layer_hits": np.zeros(3, "int32")}
    for place, name in enumerate(order):
        for ending in ("", storage.SCALE):
            if f"{name}{ending}" in arrays:
                last = name.split("/")[-1].partition("_")[2] if "/" in name else name
                old[f"{place:03d}_{last}{ending}"] = arrays[f"{name}{ending}"]
    file = io.BytesIO()
    np.savez(file, **old)
    storage.unpack(file.getvalue(), other, "The weights")
    assert np.array(other.readout.layer_choice).tolist() == [0, 1]
    for one, same in zip(other.weights, model.weights, strict=True):
        np.testing.assert_allclose(one, same, atol=0.01)
