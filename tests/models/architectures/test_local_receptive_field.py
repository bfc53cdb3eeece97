"""The network of local receptive fields: what its source describes."""

import keras

from keras_ff import layers, models
from tests.helpers.architectures import built, trainable


def test_local_receptive_field_has_as_many_parameters_as_the_published_one():
    model = built(models.local_receptive_field(), 32, 32, 3)
    convolutions = 25 * 3 * 64 + 64 + 8 * (25 * 64 * 64 + 64)
    dense = (4 * 4 * 64 * 64 + 64) + (64 * 32 + 32) + (32 * 10 + 10)
    assert trainable(model) == convolutions + 9 * 2 * 64 + dense == 893_738
    written = built(models.local_receptive_field(label_embedding="overlay"), 32, 32, 3)
    assert trainable(written) == 893_738


def test_local_receptive_field_is_made_as_described():
    model = models.local_receptive_field()
    *blocks, first, second = model.ff_layers
    assert len(blocks) == 9 and (first.units, second.units) == (64, 32)
    for block in blocks:
        kinds = [type(part).__name__ for part in block.transform.layers]
        assert kinds == ["Conv2D", "BatchNormalization"]
        assert block.activation is keras.activations.relu
    poolings = [layer for layer in model.all_layers if not isinstance(layer, layers.FFLayer)]
    assert [pooling.strides[0] for pooling in poolings] == [1, 1, 2] * 3
    for layer in (first, second):
        assert isinstance(layer.auxiliary[0], layers.PeerNormalization)
        assert layer.dropout.rate == 0.1
    assert model.readout.layers == [-1]


def test_its_residual_variant_adds_around_each_block_but_the_first():
    model = built(models.local_receptive_field(filters=4, residual=True), 16, 16, 3)
    assert [layer.span for layer in model.ff_layers] == [0, 1, 1, 1, 0, 0, 0]
    assert [layer.units for layer in model.ff_layers[4:]] == [128, 256, 512]
    assert model.ff_layers[4].kernel.shape[0] == 2 * 2 * 4
