"""The residual network: what its source describes."""

import numpy as np
import pytest

from keras_ff import layers, models
from tests.helpers import activities_of
from tests.helpers.architectures import CLASSES, built, images, trainable


@pytest.mark.slow
@pytest.mark.parametrize(("width", "millions"), [(20, 1.2), (100, 30.6)])
def test_resnet_has_about_as_many_parameters_as_published(width, millions):
    model = built(models.resnet(width), 32, 32, 3)
    widths = np.repeat([width, 2 * width, 4 * width, 8 * width], [5, 4, 4, 4])
    # What a layer takes is as wide as the layer, but for the image.
    inputs = np.array([3, *widths[1:]])
    assert trainable(model) == np.sum(9 * inputs * widths + widths)
    assert abs(trainable(model) / 1e6 / millions - 1) < 0.05


@pytest.mark.slow
def test_resnet_joins_what_stood_two_layers_before():
    model = built(models.resnet(4, CLASSES), 16, 16, 3)
    joined = {
        index: layer.merge
        for index, layer in enumerate(model.ff_layers)
        if isinstance(layer, layers.FFResidual)
    }
    added, beside = dict.fromkeys((2, 6, 10, 14, 16), "add"), (4, 8, 12)
    assert joined == {**added, **dict.fromkeys(beside, "class_groups")}
    assert {layer.span for layer in model.ff_layers} == {0, 2}
    x, _ = images(2, 16)
    sizes = [
        activities.shape[1] for activities in activities_of(model, model.streams.embed(x, None))
    ]
    assert sizes == [16] * 5 + [8] * 4 + [4] * 8
    assert model.readout.chooses and model.ff_layers[3].dropout.rate == 0.2
    with pytest.raises(ValueError, match="validation_data"):
        model.compile()
        model.fit(x, np.arange(2), verbose=0)
