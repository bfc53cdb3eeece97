"""Stacks of convolutions: what their sources describe."""

import pytest

from keras_ff import layer_schedules, losses, models, readouts
from tests.helpers.architectures import built, multiplications, trainable


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "millions", "parameters"),
    [("trifecta_6", 269, 4_588_552), ("trifecta_12", 531, 8_496_520)],
)
def test_trifecta_costs_what_is_published(variant, millions, parameters):
    model = built(models.vgg(variant), 32, 32, 3)
    assert len(model.ff_layers) == int(variant.split("_")[1])
    assert round(multiplications(model, 32) / 1e6) == millions
    widths = [layer.filters for layer in model.ff_layers]
    inputs = [4, *widths]  # with the label's channel
    kernels = sum(9 * below * width for below, width in zip(inputs, widths, strict=False))
    of_batch_normalization, label_maps = 2 * sum(inputs[:-1]), 10 * 32 * 32
    assert trainable(model) == kernels + of_batch_normalization + label_maps == parameters
    assert all(layer.own_loss == losses.SymBa(alpha=4.0) for layer in model.ff_layers)
    assert isinstance(model.layer_schedule, layer_schedules.Alternating)
    assert isinstance(model.readout, readouts.Goodness)
    assert model.readout.get_config() == readouts.Goodness([-1]).get_config()
    own = models.vgg(variant, loss="logistic").ff_layers[0].own_loss
    assert own == losses.Logistic()


@pytest.mark.slow
def test_vgg19_has_sixteen_convolutions_pooled_five_times():
    model = built(models.vgg("vgg19", width_multiplier=1 / 16), 32, 32, 3)
    convolutions = model.ff_layers[:16]
    expected = [64, 64, 128, 128, *[256] * 4, *[512] * 8]
    assert [16 * layer.filters for layer in convolutions] == expected
    pooled = [index for index, layer in enumerate(convolutions) if layer.pooling is not None]
    assert pooled == [1, 3, 7, 11, 15]
    assert [tuple(layer.kernel.shape) for layer in model.ff_layers[16:]] == [(32, 256), (256, 256)]
    whole = built(models.vgg("vgg19"), 32, 32, 3)
    dense = 512 * 4096 + 4096 + 4096 * 4096 + 4096
    assert trainable(whole) == 20_024_384 + dense  # as in the VGG-19 of `keras.applications`


def test_three_convolutions_and_two_dense_layers():
    model = built(models.vgg("three_conv"), 28, 28, 1)
    assert [layer.filters for layer in model.ff_layers[:3]] == [32, 64, 128]
    assert [layer.units for layer in model.ff_layers[3:]] == [128, 64]
    assert model.ff_layers[3].kernel.shape[0] == 3 * 3 * 128
