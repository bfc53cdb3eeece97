"""Published networks: what the sources say of them is what the presets hold."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import zoo
from keras_ff.lab.experiments import published_networks, tables
from keras_ff.lab.experiments.networks import kesanapalli2023, tantravahi2024


def test_every_published_network_is_in_the_zoo_without_weights():
    listed = zoo.list_presets()
    for name, published in published_networks.PUBLISHED.items():
        preset = listed[name]
        assert preset.storage is None and preset.test_accuracy is None
        assert preset.metadata["epochs"] == published.epochs
        assert preset.architecture == published.architecture


@pytest.mark.slow
def test_every_published_network_is_trained_by_a_cell():
    networks = published_networks.PUBLISHED
    found = {one.table: tables.get(one.table).cells for one in networks.values()}
    for name, published in networks.items():
        cells = found[published.table]
        (cell,) = [one for one in cells if published_networks.is_of(published, one)]
        assert cell.within("full").config.epochs == published.epochs, name


# Trainable parameters that the sources give or that follow from their widths.
PARAMETERS = {
    # 3072 · 1000 + 2 · 1000² + 3 · 1000, and a head on the two later layers.
    "cifar10_mlp_s1_1_relu_full_grad": 3_072_000 + 2_000_000 + 3_000,
    "cifar10_local_receptive_field_relu": 893_738,
    # With scale and offset of a layer normalisation in front of each layer.
    "mnist_mlp_s4_elu": 784 * 500 + 3 * 500 * 500 + 4 * 500 + 2 * (784 + 3 * 500),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_they_have_the_sources_parameters(name):
    model = keras_ff.FFModel.from_preset(name, load_weights=False)
    head = 0
    if name.startswith("cifar10_mlp"):
        head = sum(int(np.prod(weight.shape)) for weight in model.readout.trainable_variables)
        assert head in (20_000, 20_010)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
    assert trainable - head == PARAMETERS[name]


@pytest.mark.slow
def test_an_experiment_has_its_row():
    model = keras_ff.FFModel.from_preset("cifar10_mlp_s1_9_tanh", load_weights=False)
    assert len(model.ff_layers) == 6 and model.ff_layers[0].num_activities == 1000
    layer = model.ff_layers[2]
    assert layer.optimizer.momentum == 0.9
    # Keras takes it off the weights without momentum.
    assert layer.optimizer.weight_decay == pytest.approx(0.001 / (1 - 0.9))
    assert float(keras.ops.convert_to_numpy(layer.optimizer.learning_rate)) == pytest.approx(0.01)
    assert layer.loss.threshold == 1000.0
    assert layer.auxiliary[0].weight == 0.03
    assert model.readout.optimizer.weight_decay == pytest.approx(0.01 / (1 - 0.9))
    data = zoo.get("cifar10_mlp_s1_9_tanh").data_options()
    assert (data["batch_size"], data["validation_share"]) == (100, 0.2)
    assert data["flip"] and min(data[name] for name in ("shift", "rotate", "colors", "erase")) > 0


@pytest.mark.slow
def test_presets_are_what_their_sources_say():
    """By the corrected readings of the sources, each of which was wrong in a preset once."""

    def layer_of(name):
        model = keras_ff.FFModel.from_preset(name, load_weights=False)
        return model, model.ff_layers[1]

    model, layer = layer_of("mnist_mlp_s4_elu")
    assert (layer.loss.threshold, layer.loss.margin) == (10.0, 1.0)
    assert isinstance(layer.goodness, keras_ff.goodness.MeanActivity)
    assert isinstance(model.layer_schedule, keras_ff.layer_schedules.Simultaneous)
    assert (
        model.readout.layers == [-1]
        and zoo.get("mnist_mlp_s4_elu").data_options()["batch_size"] == 10_000
    )
    model, layer = layer_of("mnist_mlp_s2_relu")
    assert isinstance(layer.goodness, keras_ff.goodness.SumOfSquares)
    assert layer.loss.threshold == 15.0
    assert isinstance(model.layer_schedule, keras_ff.layer_schedules.Greedy)
    _, layer = layer_of("cifar10_local_receptive_field_residual_relu")
    assert layer.transform.layers[0].kernel_size == (3, 3)
    _, layer = layer_of("cifar10_local_receptive_field_relu")
    assert layer.transform.layers[0].kernel_size == (5, 5)
    _, layer = layer_of("cifar10_mlp_s1_1_relu_full_grad")
    assert isinstance(layer.goodness, keras_ff.goodness.SumOfSquares)


def test_labels_of_a_hundred_classes_take_a_hundred_pixels():
    model = kesanapalli2023.network("cifar100", (32, 32, 3), 100, 1, 1)
    embedded = model.label_embedding(np.ones((1, 32, 32, 3)), np.array([99]), 100)
    pixels = np.array(embedded).reshape(1024, 3)[:, 0]
    assert pixels[99] > 0 and not pixels[:99].any() and (pixels[100:] == 1).all()
    assert model.ff_layers[0].loss.threshold == 1.0


def test_decay_is_what_the_source_adds_to_the_gradient():
    """A weight without a gradient shrinks in both as by momentum: by wd · rate / (1 − momentum)."""
    optimizer = tantravahi2024.sgd(0.1, 0.001, 1000)
    weight = keras.Variable([1.0])
    optimizer.build([weight])
    velocity, own = 0.0, 1.0
    for _ in range(300):
        optimizer.apply([keras.ops.zeros(1)])
        velocity = 0.9 * velocity + 0.001 * own
        own -= 0.1 * velocity
    assert float(keras.ops.convert_to_numpy(weight)[0]) == pytest.approx(own, rel=0.01)


@pytest.mark.slow
def test_one_trains(tmp_path):
    model = keras_ff.FFModel.from_preset("mnist_mlp_s4_elu", load_weights=False)
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 28, 28, 1), "float32"), rng.integers(0, 10, 64)
    before = [np.array(weight) for weight in model.trainable_variables]
    model.fit(x, y, epochs=1, batch_size=32, verbose=0)
    moved = [
        np.abs(np.array(w) - b).max()
        for w, b in zip(model.trainable_variables, before, strict=True)
    ]
    assert max(moved) > 1e-3
