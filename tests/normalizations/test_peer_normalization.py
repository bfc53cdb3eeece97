"""PeerNormalization: peers held together."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

from keras_ff.layers import PeerNormalization
from tests.helpers import copies, drawn
from tests.helpers.either_backend import in_graph, value_and_gradients

PEERS = [(6, 5), (3, 4, 4, 5), (2, 7, 5)]


@pytest.mark.parametrize("shape", PEERS, ids=str)
def test_running_means_follow_and_the_penalty_is_by_hand(shape):
    layer = PeerNormalization(weight=0.2, momentum=0.8, initial=0.25)
    means = np.full(5, 0.25)
    for seed in range(3):
        h = (0.5 + drawn(*shape, seed=seed)) * np.array([1, 2, 3, 4, 5], "float32")
        np.testing.assert_array_equal(layer(h, training=True), h)
        batch_means = h.astype("float64").reshape(-1, 5).mean(axis=0)
        means = 0.8 * means + 0.2 * batch_means
        np.testing.assert_allclose(layer.running_means, means, rtol=1e-5)
        (penalty,) = layer.losses
        expected = 0.2 * np.sum((means - means.mean()) * batch_means)
        assert float(penalty) == pytest.approx(expected, rel=1e-4)
        assert keras.backend.standardize_dtype(penalty.dtype) == "float32"


def penalty_of(layer):
    """A function that takes a training pass and answers the layer's penalty."""

    def penalty(activities):
        layer(activities, training=True)
        return layer.losses[0]

    return penalty


@pytest.mark.parametrize("shape", PEERS, ids=str)
def test_gradient_of_the_penalty(shape):
    """weight · (m_j − mean(m)) / batch for dense layers: active units down, silent ones up."""
    layer = PeerNormalization(weight=0.3)
    layer.build(shape)
    h = drawn(*shape) + np.arange(5, dtype="float32")
    _, (gradient,) = value_and_gradients(penalty_of(layer), h)
    m = convert_to_numpy(layer.running_means).astype("float64")
    expected = 0.3 * (m - m.mean()) / np.prod(shape[:-1])
    np.testing.assert_allclose(gradient, np.broadcast_to(expected, shape), rtol=1e-4, atol=1e-8)
    assert expected[0] < -1e-4 and expected[-1] > 1e-4


def test_descent_brings_peers_together():
    layer = PeerNormalization(weight=1.0, momentum=0.0)
    layer.build((8, 4))
    h = drawn(8, 4) + np.arange(4, dtype="float32")
    before = np.ptp(h.mean(axis=0))
    for _ in range(20):
        _, (gradient,) = value_and_gradients(penalty_of(layer), h)
        h = h - gradient
    assert np.ptp(h.mean(axis=0)) < 0.1 * before


@pytest.mark.parametrize("how", ["not training", "not trainable"])
def test_nothing_moves_and_nothing_is_added(how):
    layer, h = PeerNormalization(), drawn(6, 5)
    layer(h, training=True)
    assert len(layer.losses) == 1
    before = convert_to_numpy(layer.running_means)
    layer.trainable = how != "not trainable"
    np.testing.assert_array_equal(layer(h + 1.0, training=how != "not training"), h + 1.0)
    assert layer.losses == []
    np.testing.assert_array_equal(layer.running_means, before)


def test_running_means_are_a_float32_weight_that_is_saved(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5), PeerNormalization(0.1)])
    layer = model.layers[-1]
    assert layer.trainable_weights == []
    (means,) = layer.non_trainable_weights
    assert means is layer.running_means and means.name == "running_means"
    np.testing.assert_array_equal(means, np.full(5, 0.5, "float32"))
    model(drawn(6, 3), training=True)
    model.save(tmp_path / "peers.keras")
    loaded = keras.saving.load_model(tmp_path / "peers.keras").layers[-1]
    assert np.abs(convert_to_numpy(means) - 0.5).max() > 1e-3
    np.testing.assert_array_equal(loaded.running_means, means)


def test_peers_under_mixed_precision():
    """Activities stay in bfloat16, means and penalty are those of float32."""
    h = keras.ops.cast(1.0 + drawn(64, 5), "bfloat16")
    layers = [PeerNormalization(dtype=policy) for policy in ("mixed_bfloat16", "float32")]
    outputs = [layer(h, training=True) for layer in layers]
    for layer, output in zip(layers, outputs, strict=True):
        assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
        assert keras.backend.standardize_dtype(layer.running_means.dtype) == "float32"
    exact = np.array(keras.ops.cast(h, "float32"), "float64").mean(axis=0)
    np.testing.assert_allclose(layers[0].running_means, 0.45 + 0.1 * exact, rtol=1e-6)
    np.testing.assert_array_equal(layers[0].running_means, layers[1].running_means)
    assert float(layers[0].losses[0]) == float(layers[1].losses[0])


def test_peers_in_a_graph():
    layer, plain = PeerNormalization(), PeerNormalization()
    h = 1.0 + drawn(6, 5)
    layer.build((None, 5))

    step = in_graph(penalty_of(layer), ((6, 5), "float32"), layer=layer)
    for _ in range(3):
        penalty = step(h)
        plain(h, training=True)
        assert float(penalty) == pytest.approx(float(plain.losses[0]), rel=1e-5)
        np.testing.assert_allclose(layer.running_means, plain.running_means, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "received"),
    [
        ({"weight": 0.0}, "weight=0.0"),
        ({"weight": "much"}, "weight='much'"),
        ({"momentum": 1.0}, "momentum=1.0"),
        ({"momentum": -0.1}, "momentum=-0.1"),
        ({"initial": float("inf")}, "initial=inf"),
    ],
)
def test_peer_settings_out_of_range(settings, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        PeerNormalization(**settings)


def test_peer_round_trip():
    layer = PeerNormalization(weight=0.5, momentum=0.5, initial=-1.0, name="peers")
    fresh = copies(layer)
    layer(drawn(4, 3), training=True)
    for copy in fresh:
        assert copy.get_config() == layer.get_config()
        copy(drawn(4, 3), training=True)
        np.testing.assert_array_equal(copy.running_means, layer.running_means)
        assert float(copy.losses[0]) == float(layer.losses[0])
