"""The small convolutional net of class groups."""

from keras_ff import labels, layers, models
from tests.helpers.architectures import built, multiplications


def test_cnn_is_the_small_net_of_class_groups():
    model = built(models.cnn(), 28, 28, 1)
    assert [layer.filters for layer in model.ff_layers] == [40, 80, 80, 160, 160]
    assert round(multiplications(model, 28) / 1e6) == 34
    assert model.class_groups and model.scoring_passes == 1
    contrastive = models.cnn(class_groups=False)
    assert isinstance(contrastive.label_embedding, labels.SpatialPattern)
    assert isinstance(contrastive.ff_layers[0].normalization, layers.LengthNormalization)
