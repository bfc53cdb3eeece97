"""What cannot work in a layer is refused with a ValueError that says what was received."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import activations
from keras_ff.layers import Batch, FFDense, FFLayer
from keras_ff.layers.ff_layer import NORMALIZATIONS
from tests.helpers.refusals import misspelt, refused


@pytest.mark.parametrize("units", [0, -1, 2.5, "wide", None])
def test_units(units):
    refused(lambda: FFDense(units), "units", f"units={units}")


@pytest.mark.parametrize("rate", [1.0, 1.5, -0.1, "much", float("nan"), None, True])
def test_dropout(rate):
    refused(lambda: FFDense(4, dropout=rate), "`dropout`", f"dropout={rate!r}")


@pytest.mark.parametrize("transform", ["dense", None, keras.layers.Dense, 3], ids=str)
def test_a_transform_that_is_no_layer(transform):
    refused(lambda: FFLayer(transform), "keras.layers.Dense", f"transform={transform!r}")


def test_a_transform_that_is_an_ff_layer_itself():
    refused(lambda: FFLayer(FFDense(4, name="inner")), "FFLayer", "inner")


def test_a_layer_needs_a_goodness():
    refused(lambda: FFDense(4, goodness=None), "goodness=None")


def test_a_layer_without_loss_or_optimizer():
    x = np.ones((4, 3), "float32")
    refused(lambda: FFDense(4, name="bare").test_step(x), "'bare'", "loss=None")
    refused(lambda: FFDense(4, loss="symba").train_step(x), "optimizer=None")
    refused(lambda: FFDense(4, optimizer="sgd").train_step(x), "loss=None")


def test_streams_that_do_not_divide_the_batch():
    layer = FFDense(4, loss="symba", optimizer="sgd")
    refused(lambda: layer.test_step(Batch(np.ones((7, 3), "float32"), 3)))


@pytest.mark.parametrize(
    ("wrong", "name"), [("rellu", "relu"), ("Tahn", "tanh"), ("sigmoyd", "sigmoid")]
)
def test_a_misspelt_activation(wrong, name):
    refused(lambda: activations.get(wrong), "Did you mean", repr(name), repr(wrong))
    refused(lambda: FFDense(4, activation=wrong), repr(name), repr(wrong))


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_misspelt_normalization(name):
    wrong = misspelt(name)
    refused(lambda: FFDense(4, normalization=wrong), "Did you mean", repr(name), repr(wrong))


@pytest.mark.parametrize("bad", ["max", 2, keras.layers.MaxPooling2D])
def test_a_pooling_that_is_no_layer(bad):
    refused(lambda: keras_ff.layers.FFConv2D(4, pooling=bad), "must be a Keras layer", repr(bad))


def test_a_misspelt_goodness_in_a_layer():
    refused(lambda: FFDense(4, goodness="sum_of_square"), "'sum_of_squares'", "'sum_of_square'")
