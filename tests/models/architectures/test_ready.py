"""Ready architectures in common: they train, save, load, and refuse what cannot work."""

import inspect

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import layer_schedules, models, readouts
from tests.helpers.architectures import CLASSES, built, images

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


def values(variables):
    return [np.copy(convert_to_numpy(variable)) for variable in variables]


@pytest.mark.every_case
@pytest.mark.slow
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


@pytest.mark.slow
def test_all_can_be_called_without_arguments_and_say_what_they_take():
    for name in ("mlp", "cnn", "vgg", "local_receptive_field", "recurrent", "resnet"):
        assert getattr(keras_ff.models, name)().num_classes == 10
    for name in set(models.__all__) - {"FFModel", "RecurrentFFModel", "RecurrentDense", "Stage"}:
        function = getattr(models, name)
        text = inspect.getdoc(function)
        assert all(f"\n{section}:\n" in text for section in ("Args", "Returns", "Raises"))
        for argument in inspect.signature(function).parameters:
            assert f" {argument}: " in text or f" {argument}, " in text or argument == "kwargs"


@pytest.mark.slow
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
