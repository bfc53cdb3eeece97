"""Ready architectures: they are what their sources describe, and they train, save and load."""

import inspect

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import labels, layer_schedules, layers, losses, models, readouts

CLASSES = 4
TINY = {
    "mlp": lambda **kwargs: models.mlp((8, 8), **kwargs),
    "mlp of class groups": lambda **kwargs: models.mlp((8, 8), class_groups=True, **kwargs),
    "cnn": lambda **kwargs: models.cnn((4, (8, 8)), dropout=0.1, **kwargs),
    "contrastive cnn": lambda **kwargs: models.cnn((3, (5, 5)), class_groups=False, **kwargs),
    "trifecta_6": lambda **kwargs: models.vgg("trifecta_6", width_multiplier=0.02, **kwargs),
    "three_conv": lambda **kwargs: models.vgg("three_conv", width_multiplier=0.1, **kwargs),
    "local_receptive_field": lambda **kwargs: models.local_receptive_field(
        2, 3, 3, (6, 5), **kwargs
    ),
    "residual local_receptive_field": lambda **kwargs: models.local_receptive_field(
        2, 3, 3, (6,), residual=True, **kwargs
    ),
    "resnet": lambda **kwargs: models.resnet(4, **kwargs),
    "vision_attention": lambda **kwargs: models.vision_attention(
        num_heads=2, key_dim=4, attention_layers=2, units=(8,), **kwargs
    ),
    "vision_attention of class groups": lambda **kwargs: models.vision_attention(
        num_heads=2, key_dim=4, units=(8,), class_groups=True, **kwargs
    ),
    "recurrent": lambda **kwargs: models.recurrent((8, 8), **kwargs),
}


def images(count=12, size=8, channels=3, seed=0):
    x = np.random.default_rng(seed).random((count, size, size, channels), "float32")
    return x, np.arange(count) % CLASSES


def built(model, *sample_shape):
    model.build((None, *sample_shape))
    return model


def values(variables):
    return [np.copy(convert_to_numpy(variable)) for variable in variables]


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def multiplications(model, size):
    """Of the convolutions, for one image of `size` pixels a side."""
    total = 0
    for layer in model.ff_layers:
        if isinstance(layer, layers.FFConv2D):
            total += int(np.prod(layer.kernel.shape)) * size**2
            size //= 1 if layer.pooling is None else 2
    return total


@pytest.mark.parametrize("name", TINY)
def test_each_trains_saves_and_loads(name, tmp_path):
    model = TINY[name](num_classes=CLASSES)
    assert isinstance(model, keras_ff.FFModel) and not model.compiled
    x, y = images()
    built(model, *x.shape[1:])
    model.compile("adam", run_eagerly=True)
    before = [values(layer.trainable_weights) for layer in model.ff_layers]
    # Pairs of layers that learn in turn need two steps.
    batch_size = 6 if isinstance(model.layer_schedule, layer_schedules.Alternating) else 12
    data = {"batch_size": batch_size, "validation_data": (x[:2], y[:2])}
    history = model.fit(x, y, **data, verbose=0).history
    assert np.isfinite([*history["loss"], *history["val_loss"]]).all()
    for layer, old in zip(model.ff_layers, before, strict=True):
        pairs = zip(values(layer.trainable_weights), old, strict=True)
        assert any(np.any(new != weight) for new, weight in pairs), layer.name
    scores = model.predict_on_batch(x)
    assert scores.shape == (12, CLASSES)
    assert np.isfinite(scores).all() and np.ptp(scores, axis=0).min() > 0
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(x), scores)
    assert type(loaded) is type(model)


@pytest.mark.parametrize("name", ["mlp", "cnn", "trifecta_6", "resnet", "vision_attention"])
def test_arguments_of_the_model_win_over_what_an_architecture_has_by_default(name):
    given = {
        "layer_schedule": layer_schedules.Greedy(2),
        "readout": readouts.Goodness([0]),
        "name": "mine",
    }
    model = TINY[name](num_classes=CLASSES, **given)
    assert {key: getattr(model, key) for key in given} == given


def test_all_can_be_called_without_arguments_and_say_what_they_take():
    for name in ("mlp", "cnn", "vgg", "local_receptive_field", "recurrent", "resnet"):
        assert getattr(keras_ff.models, name)().num_classes == 10
    for name in set(models.__all__) - {"FFModel", "RecurrentFFModel", "RecurrentDense"}:
        function = getattr(models, name)
        text = inspect.getdoc(function)
        assert all(f"\n{section}:\n" in text for section in ("Args", "Returns", "Raises"))
        for argument in inspect.signature(function).parameters:
            assert f" {argument}: " in text or f" {argument}, " in text or argument == "kwargs"


def test_class_groups_of_an_mlp_score_by_ten_times_their_mean_activity():
    model = built(models.mlp((8, 12), CLASSES, activation="tanh", class_groups=True), 5)
    x = np.random.default_rng(1).normal(size=(6, 5)).astype("float32")
    inputs, scores = x.astype("float64"), 0.0
    for layer in model.ff_layers:
        inputs = inputs - inputs.mean(axis=1, keepdims=True)
        inputs /= np.sqrt((inputs**2).mean(axis=1, keepdims=True) + 1e-8)
        inputs = np.tanh(inputs @ convert_to_numpy(layer.kernel).astype("float64"))
        scores = scores + 10 * inputs.reshape(6, CLASSES, -1).mean(axis=2)
    np.testing.assert_allclose(model.predict(x, verbose=0), scores, rtol=1e-5, atol=1e-5)


def test_cnn_is_the_small_net_of_class_groups():
    model = built(models.cnn(), 28, 28, 1)
    assert [layer.filters for layer in model.ff_layers] == [40, 80, 80, 160, 160]
    assert round(multiplications(model, 28) / 1e6) == 34
    assert model.class_groups and model.readout_passes == 1
    contrastive = models.cnn(class_groups=False)
    assert isinstance(contrastive.label_embedding, labels.SpatialPattern)
    assert isinstance(contrastive.ff_layers[0].normalization, layers.LengthNormalization)


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
    assert model.readout == readouts.Goodness([-1])
    own = models.vgg(variant, loss="logistic").ff_layers[0].own_loss
    assert own == losses.Logistic()


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


@pytest.mark.parametrize(("width", "millions"), [(20, 1.2), (100, 30.6)])
def test_resnet_has_about_as_many_parameters_as_published(width, millions):
    model = built(models.resnet(width), 32, 32, 3)
    widths = np.repeat([width, 2 * width, 4 * width, 8 * width], [5, 4, 4, 4])
    # What a layer takes is as wide as the layer, but for the image.
    inputs = np.array([3, *widths[1:]])
    assert trainable(model) == np.sum(9 * inputs * widths + widths)
    assert abs(trainable(model) / 1e6 / millions - 1) < 0.05


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
    sizes = [activities.shape[1] for activities in model.activities(model.embed(x, None))]
    assert sizes == [16] * 5 + [8] * 4 + [4] * 8
    assert model.readout.chooses and model.ff_layers[3].dropout.rate == 0.2
    with pytest.raises(ValueError, match="validation_data"):
        model.compile()
        model.fit(x, np.arange(2), verbose=0)


def test_vision_attention_has_the_label_in_every_patch():
    model = built(models.vision_attention(4, 2, 3, units=(8, 8)), 8, 12, 3)
    assert model.label_embedding == labels.TokenLabels(4)
    attention, dense, _ = model.ff_layers
    assert attention.transform.projection.kernel.shape[0] == 4 * 4 * 3 + 10
    assert dense.kernel.shape[0] == 6 * 2 * 3


def test_groups_behind_attention_are_normalised_before_they_are_flattened():
    model = models.vision_attention(4, 1, 8, units=(8,), num_classes=CLASSES, class_groups=True)
    built(model, 8, 8, 1)
    # A class whose units answer a hundred times as loudly is heard no better behind.
    activities = np.random.default_rng(2).random((3, 4, 8))
    louder = activities * np.repeat([1.0, 100.0, 1.0, 1.0], 2)
    heard = [model.layer_order.enter(1, each, [])[0] for each in (activities, louder)]
    np.testing.assert_allclose(*heard, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda: models.vgg("vgg19", width_multiplier=1 / 64), 28),
        (lambda: models.vgg("trifecta_12", width_multiplier=1 / 64), 7),
        (lambda: models.vgg("three_conv", width_multiplier=1 / 16), 7),
        (lambda: models.cnn(), 3),
        (lambda: models.resnet(20), 3),
    ],
)
def test_images_too_small_to_be_halved_so_often(make, size):
    with pytest.raises(ValueError, match="zero or negative"):
        built(make(), size, size, 3)
    larger = 2 ** int(np.ceil(np.log2(size)))
    assert built(make(), larger, larger, 3).built


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.vgg("vgg_19"), "Did you mean 'vgg19'"),
        (lambda: models.vgg(width_multiplier=0), "width_multiplier=0"),
        (lambda: models.local_receptive_field(blocks=0), "blocks=0"),
        (lambda: models.vision_attention(attention_layers=0), "attention_layers=0"),
        (lambda: models.mlp(units=()), "at least one FF layer"),
        (lambda: models.mlp(class_groups=True, negatives="random_labels"), "negatives=None"),
        (lambda: built(models.mlp((25,), class_groups=True), 4), "20 or 30 can"),
        (lambda: built(models.cnn((20, 25)), 8, 8, 1), "20 or 30 can"),
        (lambda: built(models.resnet(20, num_classes=100), 8, 8, 1), "100 can"),
        (lambda: built(models.vision_attention(5), 28, 28, 1), "sizes that do: 1, 2, 4, 7"),
    ],
)
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
