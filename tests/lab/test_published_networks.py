"""Published networks: what the sources say of them is what the presets hold."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import zoo
from keras_ff.lab.experiments import published_networks


def test_every_published_network_is_in_the_zoo_without_weights():
    listed = zoo.list_presets()
    for name, published in published_networks.PUBLISHED.items():
        preset = listed[name]
        assert preset.storage is None and preset.test_accuracy is None
        assert preset.metadata["epochs"] == published.epochs
        assert preset.architecture == published.architecture


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
    assert layer.optimizer.weight_decay == 0.001 and layer.optimizer.momentum == 0.9
    assert float(keras.ops.convert_to_numpy(layer.optimizer.learning_rate)) == pytest.approx(0.01)
    assert layer.loss.threshold == 1000.0
    assert layer.auxiliary[0].weight == 0.03
    assert model.readout.optimizer.weight_decay == 0.01
    data = zoo.get("cifar10_mlp_s1_9_tanh").data_options()
    assert (data["batch_size"], data["validation_share"]) == (100, 0.2)


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
