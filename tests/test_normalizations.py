"""Normalisations: LengthNormalization's axes, peers held together, class groups standardised."""

import json

import keras
import numpy as np
import pytest
from either_backend import in_graph, value_and_gradients
from keras.ops import convert_to_numpy

from keras_ff import backends
from keras_ff.layers import ClassGroupNormalization, LengthNormalization, PeerNormalization


def drawn(*shape, seed=1, offset=0.0):
    return (np.random.default_rng(seed).normal(size=shape) + offset).astype("float32")


def copies(layer):
    """The layer through its configuration and through JSON, as in a saved model."""
    serialised = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    return (
        type(layer).from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(serialised),
    )


# --- LengthNormalization: axes -------------------------------------------------------------------

AXES = [
    ((4, 7), None, (1,)),
    ((4, 7), -1, (1,)),
    ((3, 5, 4, 2), -1, (3,)),
    ((3, 5, 4, 2), 3, (3,)),
    ((3, 5, 4, 2), (1, 2), (1, 2)),
    ((3, 5, 4, 2), [-2, 1, 3], (1, 2, 3)),
    ((2, 6, 3), -1, (2,)),
    ((2, 6, 3), 1, (1,)),
]


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(("shape", "axis", "axes"), AXES, ids=str)
def test_length_normalization_along_axes(shape, axis, axes, center):
    x = drawn(*shape, offset=2.0) * np.logspace(-2, 2, shape[1]).reshape(
        (1, shape[1]) + (1,) * (len(shape) - 2)
    )
    wide = x.astype("float64")
    if center:
        wide = wide - wide.mean(axis=axes, keepdims=True)
    expected = wide / np.sqrt((wide**2).mean(axis=axes, keepdims=True) + 1e-8)
    layer = LengthNormalization(center=center, axis=axis)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-3, atol=2e-5)
    assert layer.compute_output_shape(shape) == shape


def test_every_token_by_itself():
    """What one token holds neither shows in another nor in its length."""
    x = drawn(2, 6, 3)
    other = x.copy()
    other[:, 1:] *= 50.0
    layer = LengthNormalization(axis=-1)
    np.testing.assert_array_equal(np.array(layer(x))[:, 0], np.array(layer(other))[:, 0])
    np.testing.assert_allclose(layer(x), layer(other), rtol=1e-4)
    mean_squares = (np.array(layer(x), "float64") ** 2).mean(axis=-1)
    np.testing.assert_allclose(mean_squares, 1.0, rtol=1e-5)


def test_no_gradient_along_a_tokens_length():
    x, layer = drawn(2, 4, 3), LengthNormalization(axis=-1)
    _, (gradient,) = value_and_gradients(lambda x: layer(x) * drawn(2, 4, 3, seed=2), x)
    assert np.abs(gradient).max() > 0.1
    np.testing.assert_allclose(np.sum(gradient * x, axis=-1), 0.0, atol=1e-5)


@pytest.mark.parametrize(
    "axis", [0, (0, 1), (), [], True, 1.0, "last", (1, None), (1, "2")], ids=repr
)
def test_axes_that_no_inputs_have(axis):
    with pytest.raises(ValueError, match=r"batch axis\. Received: axis="):
        LengthNormalization(axis=axis)


@pytest.mark.parametrize("axis", [-3, 3, -4, (1, -2), (2, 2), (1, 5)], ids=repr)
def test_axes_that_these_inputs_do_not_have(axis):
    layer = LengthNormalization(axis=axis)
    for refused in (layer, lambda x: layer.compute_output_shape(x.shape)):
        with pytest.raises(ValueError, match=r"axes out of 1 to 2.*Received: axis=.*\(2, 6, 3\)"):
            refused(drawn(2, 6, 3))


@pytest.mark.parametrize("axis", [None, -1, (1, 2), [1, 2]], ids=repr)
def test_length_normalization_round_trip(axis):
    layer = LengthNormalization(center=True, axis=axis, epsilon=0.5)
    for copy in copies(layer):
        assert (copy.center, copy.axis, copy.epsilon) == (True, layer.axis, 0.5)
        x = drawn(2, 3, 4)
        np.testing.assert_array_equal(copy(x), layer(x))


# --- PeerNormalization ---------------------------------------------------------------------------

PEERS = [(6, 5), (3, 4, 4, 5), (2, 7, 5)]


@pytest.mark.parametrize("shape", PEERS, ids=str)
def test_running_means_follow_and_the_penalty_is_by_hand(shape):
    layer = PeerNormalization(weight=0.2, momentum=0.8, initial=0.25)
    means = np.full(5, 0.25)
    for seed in range(3):
        h = drawn(*shape, seed=seed, offset=0.5) * np.array([1, 2, 3, 4, 5], "float32")
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
    h = keras.ops.cast(drawn(64, 5, offset=1.0), "bfloat16")
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
    h = drawn(6, 5, offset=1.0)
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


# --- ClassGroupNormalization ---------------------------------------------------------------------


def standardised(x, classes, epsilon=1e-5):
    """Class groups standardised in float64."""
    x = np.asarray(x, "float64")
    groups = x.reshape(len(x), -1, classes, x.shape[-1] // classes)
    mean = groups.mean(axis=(1, 3), keepdims=True)
    spread = np.sqrt(groups.var(axis=(1, 3), keepdims=True) + epsilon)
    return ((groups - mean) / spread).reshape(x.shape)


GROUPS = [((4, 12), 3), ((4, 12), 1), ((2, 5, 4, 6), 2), ((2, 5, 4, 6), 6), ((2, 7, 8), 4)]


@pytest.mark.parametrize(("shape", "classes"), GROUPS, ids=str)
def test_every_class_is_standardised_by_itself(shape, classes):
    x = drawn(*shape) * np.linspace(0.5, 5.0, shape[-1]) + np.arange(shape[-1])
    y = np.array(ClassGroupNormalization(classes)(x.astype("float32")))
    np.testing.assert_allclose(y, standardised(x, classes), rtol=1e-3, atol=1e-5)
    groups = y.reshape(shape[0], -1, classes, shape[-1] // classes).astype("float64")
    np.testing.assert_allclose(groups.mean(axis=(1, 3)), 0.0, atol=1e-5)
    np.testing.assert_allclose(groups.var(axis=(1, 3)), 1.0, rtol=1e-3)


@pytest.mark.tensorflow("it makes kernels")
@pytest.mark.parametrize(("shape", "classes"), GROUPS, ids=str)
def test_a_kernel_of_its_own_answers_the_same(shape, classes):
    layer = ClassGroupNormalization(classes)
    layer.build((None, *shape[1:]))
    x = drawn(*shape, offset=1.0)
    np.testing.assert_allclose(
        backends.fused(layer)(keras.ops.convert_to_tensor(x)), layer(x), rtol=1e-4, atol=1e-5
    )


def test_no_trace_of_which_class_won():
    x = drawn(3, 4, 4, 6, offset=1.0)
    won = x.copy()
    won[..., 2:4] *= 30.0
    won[..., 2:4] += 5.0
    layer = ClassGroupNormalization(3)
    np.testing.assert_allclose(layer(won), layer(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("shape", "classes"), [((4, 12), 5), ((3, 5, 5, 3), 10), ((3, 6, 4), 7)])
def test_other_widths_are_one_group(shape, classes):
    x = 3.0 * drawn(*shape) + 2.0
    y = ClassGroupNormalization(classes)(x)
    expected = standardised(x.reshape(len(x), -1), 1).reshape(shape)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-5)


def test_integer_images():
    x = np.random.default_rng(1).integers(0, 255, (3, 5, 5, 3)).astype("uint8")
    y = np.array(ClassGroupNormalization(10)(x))
    expected = standardised(x.reshape(3, -1), 1).reshape(x.shape)
    np.testing.assert_allclose(y, expected, rtol=1e-3, atol=1e-4)


def test_silent_groups_stay_at_zero_with_a_finite_gradient():
    x = np.hstack([np.zeros((2, 3)), drawn(2, 3)]).astype("float32")
    layer = ClassGroupNormalization(2)
    y = np.array(layer(x))
    _, (gradient,) = value_and_gradients(lambda x: layer(x) * drawn(2, 6, seed=2), x)
    np.testing.assert_array_equal(y[:, :3], 0.0)
    assert np.abs(y[:, 3:]).max() > 0.5
    assert np.all(np.isfinite(gradient))


def test_class_groups_under_mixed_precision():
    """Statistics in float32: an offset that bfloat16 can hold costs no digits of the spread."""
    x = keras.ops.cast(128.0 + drawn(64, 16), "bfloat16")
    y = ClassGroupNormalization(2, dtype="mixed_bfloat16")(x)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    exact = standardised(np.array(keras.ops.cast(x, "float32")), 2)
    np.testing.assert_allclose(keras.ops.cast(y, "float32"), exact, rtol=2**-8, atol=1e-3)


def test_a_model_sets_the_number_of_classes():
    layer = ClassGroupNormalization()
    assert layer.num_classes is None
    with pytest.raises(ValueError, match=r"num_classes=10\)\. Received: num_classes=None"):
        layer.build((None, 6))
    layer.num_classes = 3
    x = drawn(4, 6)
    np.testing.assert_allclose(layer(x), standardised(x, 3), rtol=1e-3, atol=1e-5)
    layer.num_classes = 3  # as a model does that is built anew
    with pytest.raises(ValueError, match=r"3 classes already\. Received: num_classes=2"):
        layer.num_classes = 2
    np.testing.assert_allclose(layer(x), standardised(x, 3), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("bad", [0, -2, 2.0, "ten", True])
def test_a_number_of_classes_that_is_none(bad):
    with pytest.raises(ValueError, match=f"Received: num_classes={bad!r}"):
        ClassGroupNormalization(bad)
    with pytest.raises(ValueError, match=f"Received: num_classes={bad!r}"):
        ClassGroupNormalization().num_classes = bad


def test_groups_of_one_unit_are_refused():
    with pytest.raises(ValueError, match=r"width of 6 or more\. Received: .*\(None, 3\)"):
        ClassGroupNormalization(3).build((None, 3))
    ClassGroupNormalization(3).build((None, 4, 4, 3))  # positions have a spread


@pytest.mark.parametrize("epsilon", [0.0, -1.0, "small"])
def test_an_epsilon_of_class_groups_that_is_not_above_zero(epsilon):
    with pytest.raises(ValueError, match=f"Received: epsilon={epsilon!r}"):
        ClassGroupNormalization(epsilon=epsilon)


def test_class_group_round_trip():
    layer, x = ClassGroupNormalization(2, epsilon=0.5, name="classes"), drawn(3, 6)
    layer(x)
    for copy in copies(layer):
        assert copy.get_config() == layer.get_config()
        np.testing.assert_array_equal(copy(x), layer(x))
    assert layer.weights == []
    np.testing.assert_allclose(layer(x), standardised(x, 2, 0.5), rtol=1e-4, atol=1e-6)
