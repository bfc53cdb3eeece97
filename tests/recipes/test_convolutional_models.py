"""Configurations of convolutional networks, and what their optimizers are told."""

import json

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import training
from keras_ff.layers import FFConv2D, FFResidual
from keras_ff.recipes import TrainingConfig

LOSS = {"loss": "sparse_categorical_crossentropy"}


def model_of(config, size=8):
    keras.utils.set_random_seed(0)
    return config.new_model((size, size, 1), 10, steps_per_epoch=20)


def test_images_are_halved_where_layers_grow_wider():
    config = TrainingConfig.for_dataset("digits", architecture="cnn", units=(20, 40, 40, 80))
    model = model_of(config)
    assert all(isinstance(layer, FFConv2D) for layer in model.ff_layers)
    x = np.random.default_rng(0).random((3, 8, 8, 1), "float32")
    shapes = []
    handed = x
    for layer in model.ff_layers:
        handed = layer.outputs(layer(handed))
        shapes.append(tuple(handed.shape[1:]))
    assert shapes == [(4, 4, 20), (4, 4, 40), (2, 2, 40), (2, 2, 80)]


@pytest.mark.slow
def test_a_residual_network_has_its_seventeen_layers_and_one_width():
    config = TrainingConfig.for_dataset("digits", architecture="resnet", units=10)
    model = model_of(config)
    assert len(model.ff_layers) == 17
    assert sum(isinstance(layer, FFResidual) for layer in model.ff_layers) == 8
    assert model.ff_layers[-1].num_activities == 2 * 2 * 80
    with pytest.raises(ValueError, match="width of the first layers"):
        TrainingConfig.for_dataset("digits", architecture="resnet", units=(10, 20))


def test_optimizers_decay_weights_clip_gradients_and_follow_the_schedule():
    chosen = {"architecture": "cnn", "units": (10, 20), "epochs": 5, "learning_rate": 0.02}
    model = model_of(TrainingConfig.for_dataset("digits", **chosen))
    for layer in model.ff_layers:
        assert layer.optimizer.weight_decay == 5e-4
        assert layer.optimizer.clipnorm == 1.0
        rate = layer.optimizer.get_config()["learning_rate"]
        assert rate["class_name"] == "CosineDecay"
        assert rate["config"]["initial_learning_rate"] == 0.02
        assert rate["config"]["decay_steps"] == 5 * 20
        assert rate["config"]["alpha"] == 0.01
    plain = {"rate_schedule": "constant_then_linear", "weight_decay": 0.0, "clip_norm": None}
    model = model_of(TrainingConfig.for_dataset("digits", **chosen, **plain))
    for layer in model.ff_layers:
        assert isinstance(layer.optimizer, keras.optimizers.Adam)
        assert not layer.optimizer.weight_decay and layer.optimizer.clipnorm is None


def test_layers_learn_by_muon_with_smoothed_labels_and_similarity_matching():
    chosen = {"optimizer": "muon", "label_smoothing": 0.1, "similarity_matching": 2.0}
    config = TrainingConfig.for_dataset("digits", architecture="cnn", units=(10, 20), **chosen)
    for option in ("--optimizer muon", "--label-smoothing 0.1", "--similarity-matching 2.0"):
        assert option in config.command()
    assert TrainingConfig.from_dict(config.to_dict()) == config
    model = model_of(config)
    for layer in model.ff_layers:
        assert isinstance(layer.optimizer, keras_ff.optimizers.Muon)
        assert layer.optimizer.weight_decay == layer.optimizer.adam_weight_decay == 5e-4
        assert layer.optimizer.clipnorm == 1.0
        assert layer.loss.label_smoothing == 0.1
        (term,) = layer.auxiliary
        assert (term.weight, term.num_classes) == (2.0, 10)
    assert model.locality == 2
    # What has no such parameter takes none.
    with pytest.raises(ValueError, match="'logistic' has no label_smoothing"):
        TrainingConfig.for_dataset("digits", loss="logistic", label_smoothing=0.1)


def samples_of(classes=10, size=8):
    """Images whose classes 0 and 1, 2 and 3, … are alike in pairs."""
    y = np.arange(4 * classes) % classes
    x = np.random.default_rng(0).normal(size=(len(y), size, size, 1))
    return x + 9.0 * (y // 2)[:, None, None, None], y


def test_options_give_whitening_coarse_classes_free_units_and_joint_scores():
    chosen = {
        "whitening": 2,
        "coarse_classes": 5,
        "free_units": ("all", 0.5),
        "supervised_contrast": 1.0,
        "readout": "joint_of_averages",
    }
    config = TrainingConfig.for_dataset("digits", architecture="cnn", units=(20, 40), **chosen)
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match=r"`TrainingConfig\.training_samples`.*samples=None"):
        model_of(config)
    model = config.new_model((8, 8, 1), 10, 20, samples_of())
    (whitening,) = model.other_layers
    assert (whitening.patch_size, whitening.kernel.shape) == (2, (2, 2, 1, 4))
    first, last = model.ff_layers
    assert first.loss.classes == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert isinstance(last.loss, keras_ff.losses.ClassLoss)
    assert (first.free_units, last.free_units) == (20, 20)
    readout = model.readout
    assert (readout.use, readout.goodness.layers) == ("validation", "validation")
    assert (readout.softmax.layers, readout.softmax.regions) == ("all", 1)
    # Without a validation part there is nothing to choose by.
    alone = TrainingConfig(goodness="class_groups", readout="joint", validation_share=0.0, **LOSS)
    assert not model_of(alone).readout.chooses


def test_samples_for_a_new_model_are_not_varied():
    chosen = {"architecture": "cnn", "units": (20, 40), "flip": True, "shift": 2}
    config = TrainingConfig.for_dataset("digits", **chosen)
    assert config.training_samples() is None
    x, y = config.changed(whitening=2).training_samples()
    plain = config.changed(whitening=2, flip=False, shift=0)
    np.testing.assert_array_equal(x, np.concatenate([batch for batch, _ in plain.load_data()[0]]))
    assert len(y) == 1198


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"whitening": 2}, "not of architecture='mlp'"),
        ({"architecture": "cnn", "whitening": 0}, "whitening=0"),
        ({"classifier_regions": 2}, "have no positions"),
        ({"architecture": "cnn", "classifier_regions": 2}, "'class_groups' has no regions"),
        ({"coarse_classes": 2}, "'class_groups' or 'local_classifier'. Received"),
        ({"goodness": "class_groups", "coarse_classes": (5, 2)}, "must grow"),
        ({"goodness": "class_groups", "coarse_classes": (2, 4, 8)}, "fewer than the 3 layers"),
        ({"free_units": 0.5}, "Class groups alone"),
        ({"goodness": "class_groups", "free_units": 0.5}, "give one of them a weight"),
        ({"goodness": "class_groups", "free_units": 1.5}, "`free` must be"),
        ({"goodness": "class_groups", "free_units": (1, 2)}, "each of the 3 layers"),
        ({"architecture": "resnet", "free_units": 0.5}, "'resnet' all belong"),
        ({"readout": "joint", "readout_epochs": 1}, "class groups alone give"),
    ],
)
def test_parts_are_refused_where_they_do_nothing(chosen, said):
    with pytest.raises(ValueError, match=said):
        TrainingConfig.for_dataset("digits", **chosen)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("architecture", "cmn", "'cnn'"),
        ("rate_schedule", "cosin", "'cosine'"),
        ("weight_decay", -0.1, "weight_decay=-0.1"),
        ("supervised_contrast", -1, "supervised_contrast=-1"),
        ("supervised_contrast_regions", 2, "nothing to divide"),
        ("clip_norm", 0, "clip_norm"),
        ("optimizer", "muno", "'muon'"),
        ("similarity_matching", 0, "similarity_matching=0"),
        ("label_smoothing", 1.0, "label_smoothing=1.0"),
    ],
)
def test_what_is_wrong_is_said(name, value, said):
    with pytest.raises(ValueError, match=said):
        TrainingConfig(**{name: value})


def test_regions_are_refused_where_there_are_no_positions():
    with pytest.raises(ValueError, match="architecture='mlp' have no positions"):
        TrainingConfig(supervised_contrast=1.0, supervised_contrast_regions=2)


@pytest.mark.parametrize(("regions", "positions"), [(None, 4 * 4), (2, 2 * 2)])
def test_every_layer_has_a_local_classifier_of_its_own(regions, positions):
    chosen = {"architecture": "cnn", "units": (20, 40), "goodness": "local_classifier"}
    config = TrainingConfig.for_dataset("digits", classifier_regions=regions, **chosen)
    heads = [layer.goodness.head.kernel.shape for layer in model_of(config).ff_layers]
    assert heads == [(positions * 20, 10), (positions * 40, 10)]


def test_peer_normalization_is_refused_for_convolutions():
    with pytest.raises(ValueError, match="architecture='mlp' alone"):
        TrainingConfig.for_dataset("digits", architecture="cnn", peer_normalization=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["mlp", "cnn", "resnet"])
def test_supervised_contrast_has_a_head_in_every_layer(architecture):
    units = (10,) if architecture == "resnet" else (20, 40)
    chosen = {"architecture": architecture, "units": units, "goodness": "class_groups"}
    sides = {} if architecture == "mlp" else {"supervised_contrast_regions": 2}
    config = TrainingConfig.for_dataset("digits", supervised_contrast=0.5, **sides, **chosen)
    assert "--supervised-contrast 0.5" in config.command()
    assert ("--supervised-contrast-regions 2" in config.command()) == (architecture != "mlp")
    assert TrainingConfig.from_dict(config.to_dict()) == config
    model = model_of(config)
    heads = [layer.auxiliary[0].head.kernel for layer in model.ff_layers]
    assert len({id(head) for head in heads}) == len(model.ff_layers)
    assert {layer.auxiliary[0].weight for layer in model.ff_layers} == {0.5}
    regions = 1 if architecture == "mlp" else 2 * 2
    for layer, head in zip(model.ff_layers, heads, strict=True):
        assert head.shape[0] == regions * layer.compute_output_shape((None, 8, 8, 1))[-1]
    assert {layer.locality for layer in model.ff_layers} == {2}
    before = [keras.ops.convert_to_numpy(head) for head in heads]
    model.run_eagerly = True
    generator = np.random.default_rng(0)
    model.train_on_batch(generator.normal(size=(20, 8, 8, 1)), generator.integers(0, 10, 20))
    for old, new in zip(before, heads, strict=True):
        assert np.any(old != keras.ops.convert_to_numpy(new))


@pytest.mark.slow
def test_a_convolutional_run_learns_digits(tmp_path):
    parts = {"whitening": 2, "coarse_classes": 5}
    readout = {"readout": "joint_of_averages", "readout_epochs": 1}
    config = TrainingConfig.for_dataset(
        "digits",
        architecture="cnn",
        units=(20, 40),
        epochs=4,
        dtype_policy="float32",
        **parts,
        **readout,
    )
    metrics = training.train(config, tmp_path / "run", verbose=0)
    assert metrics["test_accuracy"] > 0.9
    assert "--architecture cnn" in metrics["command"]
    model, _ = training.load(tmp_path / "run")
    assert model.readout.chooses
    # The head learned after the layers, which it needs validation data for.
    assert keras.ops.convert_to_numpy(model.readout.softmax.head.kernel).any()
