"""Names that are misspelt are refused with the nearest ones."""

import keras
import pytest

import keras_ff
from keras_ff import goodness, labels, layer_schedules, losses, negatives, readouts
from keras_ff.layers import FFDense
from tests.helpers.refusals import misspelt, refused

REGISTRIES = {
    "goodness": goodness,
    "losses": losses,
    "labels": labels,
    "negatives": negatives,
    "layer_schedules": layer_schedules,
    "readouts": readouts,
}


def model_of(layers=None, classes=3, **settings):
    return keras_ff.FFModel(layers or [FFDense(4), FFDense(4)], classes, **settings)


NAMES = [(module, name) for module in REGISTRIES for name in REGISTRIES[module].KNOWN]


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_misspelt_name(module, name):
    wrong = misspelt(name)
    refused(lambda: REGISTRIES[module].get(wrong), "Did you mean", repr(name), repr(wrong))


def test_misspelt_symba():
    refused(lambda: losses.get("symbba"), "Did you mean 'symba'?", "'symbba'")
    refused(lambda: model_of().compile(loss="symbba"), "Did you mean 'symba'?", "'symbba'")


@pytest.mark.parametrize("module", REGISTRIES)
def test_a_name_like_no_other_shows_all(module):
    known = REGISTRIES[module].KNOWN
    refused(
        lambda: REGISTRIES[module].get("qqqqqqqq"),
        "Valid names",
        *(repr(name) for name in sorted(known)),
        "'qqqqqqqq'",
    )


@pytest.mark.parametrize("module", REGISTRIES)
def test_an_object_of_another_kind(module):
    get = REGISTRIES[module].get
    refused(lambda: get(3), *(repr(name) for name in REGISTRIES[module].KNOWN), "3")
    other = labels.Append() if module == "goodness" else goodness.SumOfSquares()
    refused(lambda: get(other), repr(other))
    serialised = keras.saving.serialize_keras_object(other)
    refused(lambda: get(serialised), repr(other))


@pytest.mark.parametrize("module", REGISTRIES)
def test_a_dictionary_that_describes_nothing(module):
    refused(lambda: REGISTRIES[module].get({"alpha": 1.0}), "alpha")
