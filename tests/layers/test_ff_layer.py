"""FFLayer: metrics, local steps, what it wraps, how it is saved."""

import json

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import goodness, losses
from keras_ff.layers import (
    Batch,
    ClassGroupNormalization,
    FFConv2D,
    FFDense,
    FFLayer,
    LengthNormalization,
)
from keras_ff.layers.ff_layer import NORMALIZATIONS
from tests.helpers import drawn, mostly_slow
from tests.helpers.dense import dense, dense_by_hand, normalised, sgd


def symba_by_hand(activities, streams=2, alpha=16.0):
    """Every sample's SymBa loss on means of squares, streams one after the other."""
    metrics = (np.asarray(activities, "float64") ** 2).reshape(len(activities), -1).mean(axis=1)
    metrics = metrics.reshape(streams, -1)
    return np.logaddexp(0.0, alpha * (metrics[1:] - metrics[0])).mean(axis=0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("length", LengthNormalization),
        ("centered_length", LengthNormalization),
        ("batch", keras.layers.BatchNormalization),
        ("layer", keras.layers.LayerNormalization),
    ],
)
def test_normalization_by_name(name, kind):
    layer = dense(normalization=name, activation=None, use_bias=False)
    assert type(layer.normalization) is kind
    x = 5.0 * drawn(8, 5) + 3.0
    wide = x.astype("float64")
    if name == "batch":
        expected = (wide - wide.mean(axis=0)) / np.sqrt(wide.var(axis=0) + 1e-3)
    elif name == "layer":
        expected = wide - wide.mean(axis=1, keepdims=True)
        expected /= np.sqrt(wide.var(axis=1, keepdims=True) + 1e-3)
    else:
        expected = normalised(x, center=name == "centered_length")
    expected = expected @ convert_to_numpy(layer.kernel)
    np.testing.assert_allclose(layer(x, training=True), expected, rtol=1e-3, atol=1e-4)
    assert name in NORMALIZATIONS


def test_normalization_by_object():
    given = keras.layers.Rescaling(3.0)
    layer = dense(normalization=given, activation=None, use_bias=False)
    assert layer.normalization is given
    x = drawn(3, 5)
    np.testing.assert_allclose(layer(x), 3.0 * x @ convert_to_numpy(layer.kernel), rtol=1e-5)


@pytest.mark.parametrize("name", ["batch", "layer"])
def test_a_normalizations_own_weights_learn_with_the_layer(name):
    layer = dense(normalization=name)
    before = [convert_to_numpy(weight) for weight in layer.normalization.trainable_weights]
    assert len(before) == 2
    layer.train_step(drawn(8, 5))
    for old, weight in zip(before, layer.normalization.trainable_weights, strict=True):
        assert np.abs(convert_to_numpy(weight) - old).max() > 1e-4


@pytest.mark.parametrize("streams", [2, 3, 5])
def test_values_by_hand(streams):
    layer = dense()
    x = drawn(4 * streams, 5)
    metrics, batch = layer.test_step(Batch(x, streams))
    expected = dense_by_hand(x, *map(convert_to_numpy, layer.transform.weights))
    np.testing.assert_allclose(batch.inputs, expected, rtol=1e-4, atol=1e-6)
    by_stream = (expected**2).mean(axis=1).reshape(streams, 4)
    assert sorted(metrics) == sorted(layer.metric_names)
    for name in ("positive_goodness", "negative_goodness", "pair_accuracy"):
        assert tuple(metrics[name].shape) == (4,)
        assert keras.backend.standardize_dtype(metrics[name].dtype) == "float32"
    np.testing.assert_allclose(metrics["positive_goodness"], by_stream[0], rtol=1e-4)
    np.testing.assert_allclose(metrics["negative_goodness"], by_stream[1:].mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(
        metrics["pair_accuracy"], (by_stream[0] > by_stream[1:]).mean(axis=0), rtol=1e-6
    )
    loss = symba_by_hand(expected, streams).mean()
    assert float(metrics["loss"]) == pytest.approx(loss, rel=1e-4)


def test_streams_that_are_alike_are_not_told_apart():
    x = drawn(3, 5)
    metrics, _ = dense().test_step(np.concatenate([x, x]))
    np.testing.assert_array_equal(metrics["pair_accuracy"], 0.0)
    assert float(metrics["loss"]) == pytest.approx(np.log(2), rel=1e-5)


def test_measuring_changes_nothing():
    layer = dense(normalization="batch", dropout=0.5)
    before = layer.get_weights()
    for _ in range(2):
        layer.test_step(drawn(8, 5))
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("streams", [2, 4])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_a_step_is_descent_along_finite_differences(activation, streams):
    layer = dense(units=3, activation=activation, loss=losses.SymBa(alpha=3.0))
    x = drawn(4 * streams, 5)
    before = [convert_to_numpy(weight).astype("float64") for weight in layer.transform.weights]

    def objective(weights):
        return symba_by_hand(dense_by_hand(x, *weights, activation), streams, alpha=3.0).mean()

    metrics, batch = layer.train_step(Batch(x, streams))
    assert float(metrics["loss"]) == pytest.approx(objective(before), rel=1e-4)
    np.testing.assert_allclose(batch.inputs, dense_by_hand(x, *before, activation), rtol=1e-4)
    for which, weight in enumerate(layer.transform.weights):
        slope = np.zeros(before[which].shape)
        for place in np.ndindex(slope.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [array.copy() for array in before]
                moved[which][place] += step
                sides.append(objective(moved))
            slope[place] = (sides[0] - sides[1]) / 2e-6
        assert np.abs(slope).max() > 1e-2
        change = convert_to_numpy(weight) - before[which]
        np.testing.assert_allclose(change, -0.1 * slope, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_steps_tell_streams_apart():
    layer = FFDense(16, loss="symba", optimizer=keras.optimizers.Adam(0.01))
    x = drawn(64, 6)
    x[:32, 0] += 2.0
    x[32:, 0] -= 2.0
    first, _ = layer.train_step(x)
    for _ in range(40):
        last, _ = layer.train_step(x)
    assert float(last["loss"]) < 0.2 * float(first["loss"])
    assert np.mean(last["pair_accuracy"]) > 0.95
    assert np.all(np.mean(last["positive_goodness"]) > np.mean(last["negative_goodness"]) + 0.3)


def test_another_optimizer_may_take_the_step():
    layer, x = dense(), drawn(8, 5)
    kernel, own = convert_to_numpy(layer.kernel), layer.optimizer
    layer.optimizer = keras.optimizers.SGD(0.0)
    layer.train_step(x)
    np.testing.assert_array_equal(convert_to_numpy(layer.kernel), kernel)
    assert int(own.iterations) == 0
    layer.optimizer = own
    layer.train_step(x)
    assert np.abs(convert_to_numpy(layer.kernel) - kernel).max() > 1e-3
    assert int(own.iterations) == 1


def test_a_layers_optimizer_is_a_copy():
    given = keras.optimizers.Adam(0.0123)
    first, second = (FFDense(3, loss="symba", optimizer=given) for _ in range(2))
    assert first.optimizer is not given
    assert first.optimizer is not second.optimizer
    assert float(first.optimizer.learning_rate) == pytest.approx(0.0123)
    first.train_step(drawn(4, 5))
    assert [int(one.iterations) for one in (first.optimizer, second.optimizer, given)] == [1, 0, 0]
    assert isinstance(FFDense(3, optimizer="rmsprop").optimizer, keras.optimizers.RMSprop)


@pytest.mark.parametrize("streams", [2, 3])
@pytest.mark.parametrize("shape", [(4,), (4, 1)], ids=str)
def test_sample_weights_weight_the_loss(shape, streams):
    layer, x = dense(kernel_regularizer=keras.regularizers.L2(0.5)), drawn(4 * streams, 5)
    weights = np.array([0.0, 0.5, 1.0, 3.0], "float32")
    activities = dense_by_hand(x, *map(convert_to_numpy, layer.transform.weights))
    expected = (weights * symba_by_hand(activities, streams)).mean()
    expected += 0.5 * np.sum(convert_to_numpy(layer.kernel) ** 2)  # regularisers bear no weight
    metrics, _ = layer.test_step(Batch(x, streams, sample_weight=weights.reshape(shape)))
    assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-5)


def stepped(x, **arguments):
    """The kernel after a step from a kernel that is always the same."""
    layer = dense(
        kernel_initializer=keras.initializers.RandomNormal(seed=1), bias_initializer="zeros"
    )
    layer.train_step(Batch(x, **arguments))
    return convert_to_numpy(layer.kernel)


def test_samples_without_weight_change_nothing():
    x = drawn(8, 5)
    other = x.copy()
    other[[1, 5]] = 3.0
    weights = np.array([1.0, 0.0, 2.0, 1.0])
    np.testing.assert_allclose(
        stepped(x, sample_weight=weights), stepped(other, sample_weight=weights), atol=1e-7
    )
    assert np.abs(stepped(x) - stepped(other)).max() > 1e-3


def test_a_weight_of_two_is_the_sample_twice():
    x = drawn(8, 5)
    doubled = np.concatenate([x[:4], x[:1], x[4:], x[4:5]])
    weights = np.array([2.0, 1.0, 1.0, 1.0]) * 4 / 5  # means over 4 and over 5 samples
    np.testing.assert_allclose(stepped(x, sample_weight=weights), stepped(doubled), atol=1e-6)


def test_a_regularizer_adds_to_the_loss_and_pulls_the_weights():
    x = drawn(8, 5)
    plain = dense(kernel_initializer=keras.initializers.RandomNormal(seed=1), use_bias=False)
    pulled = dense(
        kernel_initializer=keras.initializers.RandomNormal(seed=1),
        kernel_regularizer=keras.regularizers.L2(0.25),
        use_bias=False,
    )
    kernel = convert_to_numpy(plain.kernel)
    losses_ = [float(layer.train_step(x)[0]["loss"]) for layer in (plain, pulled)]
    assert losses_[1] - losses_[0] == pytest.approx(0.25 * np.sum(kernel**2), rel=1e-4)
    difference = convert_to_numpy(pulled.kernel) - convert_to_numpy(plain.kernel)
    np.testing.assert_allclose(difference, -0.1 * 0.25 * 2 * kernel, rtol=1e-3, atol=1e-6)


def test_regularizers_of_bias_and_normalization_count():
    layer = FFLayer(
        keras.layers.Dense(3, bias_initializer="ones", bias_regularizer=keras.regularizers.L1(0.5)),
        normalization=keras.layers.LayerNormalization(gamma_regularizer=keras.regularizers.L2(0.2)),
        loss="symba",
        optimizer=sgd(),
    )
    x = drawn(4, 5)
    same = np.concatenate([x, x])  # a pair loss of log 2
    metrics, _ = layer.train_step(same)
    assert float(metrics["loss"]) == pytest.approx(np.log(2) + 0.5 * 3 + 0.2 * 5, rel=1e-5)


def test_an_activity_regularizer_counts_once_a_step():
    layer = FFLayer(
        keras.layers.Dense(3, activity_regularizer=keras.regularizers.L2(0.5)),
        loss="symba",
        optimizer=keras.optimizers.SGD(0.0),
    )
    x = drawn(4, 5)
    same = np.concatenate([x, x])
    for _ in range(3):
        metrics, batch = layer.train_step(same)
        penalty = 0.5 * np.sum(np.square(batch.inputs)) / len(same)  # as Keras divides it
        assert float(metrics["loss"]) == pytest.approx(np.log(2) + penalty, rel=1e-5)
        layer(x)  # a pass for scores in between leaves nothing behind


def test_constraints_hold_after_a_step():
    layer = dense(
        kernel_constraint=keras.constraints.MaxNorm(0.5), bias_constraint=keras.constraints.NonNeg()
    )
    free = dense()
    assert np.linalg.norm(convert_to_numpy(layer.kernel), axis=0).max() > 0.5
    assert convert_to_numpy(layer.transform.bias).min() < 0
    for one in (layer, free):
        one.train_step(drawn(8, 5))
    assert np.linalg.norm(convert_to_numpy(layer.kernel), axis=0).max() < 0.5 + 1e-5
    assert convert_to_numpy(layer.transform.bias).min() >= 0
    assert np.linalg.norm(convert_to_numpy(free.kernel), axis=0).max() > 0.5
    assert convert_to_numpy(free.transform.bias).min() < 0


def test_initializers():
    layer = dense(kernel_initializer="ones", bias_initializer=keras.initializers.Constant(0.5))
    np.testing.assert_array_equal(convert_to_numpy(layer.kernel), 1.0)
    np.testing.assert_array_equal(convert_to_numpy(layer.transform.bias), 0.5)
    orthogonal = convert_to_numpy(dense(units=5, kernel_initializer="orthogonal").kernel)
    np.testing.assert_allclose(orthogonal.T @ orthogonal, np.eye(5), atol=1e-5)


def test_use_bias():
    assert len(dense(use_bias=False).trainable_weights) == 1
    assert len(dense().trainable_weights) == 2


def convolution():
    return keras.layers.Conv2D(4, 3, padding="same", activation="relu")


def stack():
    return keras.Sequential(
        [
            keras.layers.Conv2D(4, 3, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
        ]
    )


TRANSFORMS = {
    "dense": (lambda: keras.layers.Dense(7, activation="relu"), (6, 6, 7), 1),
    "convolution": (convolution, (6, 6, 4), 1),
    "stack": (stack, (2, 2, 4), 1),
    "attention": (
        lambda: keras.Sequential(
            [keras.layers.Reshape((36, 2)), keras.layers.Conv1D(3, 1), keras.layers.Conv1D(5, 2)]
        ),
        (35, 5),
        2,
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    make, shape, locality = TRANSFORMS[name]
    layer = FFLayer(make(), loss="logistic", optimizer=sgd(), goodness="sum_of_squares")
    x = drawn(8, 6, 6, 2)
    metrics, batch = layer.test_step(x)
    activities = batch.inputs
    assert tuple(activities.shape) == (8, *shape)
    assert layer.compute_output_shape((None, 6, 6, 2)) == (None, *shape)
    assert layer.num_activities == np.prod(shape)
    assert layer.locality == locality
    assert layer.loss.threshold == 0.5 * np.prod(shape)
    np.testing.assert_allclose(
        np.concatenate([metrics["positive_goodness"], metrics["negative_goodness"]]),
        np.sum(np.square(activities), axis=tuple(range(1, len(activities.shape)))),
        rtol=1e-4,
    )
    np.testing.assert_allclose(activities, layer.transform(normalised(x)), rtol=1e-3, atol=1e-5)
    before = [convert_to_numpy(weight) for weight in layer.trainable_weights]
    layer.train_step(x)
    for old, weight in zip(before, layer.trainable_weights, strict=True):
        assert np.abs(convert_to_numpy(weight) - old).max() > 1e-6, weight.path


def test_batch_statistics_inside_a_transform_move_only_in_training():
    layer = FFLayer(stack(), loss="symba", optimizer=sgd())
    x = drawn(8, 6, 6, 2)
    layer(x)
    statistics = layer.transform.layers[1]
    np.testing.assert_array_equal(convert_to_numpy(statistics.moving_mean), 0.0)
    layer.test_step(x)
    np.testing.assert_array_equal(convert_to_numpy(statistics.moving_mean), 0.0)
    inner = np.array(layer.transform.layers[0](normalised(x)))
    layer.train_step(x)
    np.testing.assert_allclose(
        convert_to_numpy(statistics.moving_mean),
        0.1 * inner.mean(axis=(0, 1, 2)),  # both streams in one batch
        rtol=1e-3,
        atol=1e-6,
    )


def test_an_activation_follows_the_transform():
    layer = FFLayer(keras.layers.Conv2D(3, 3), activation="relu", loss="symba")
    x = drawn(4, 6, 6, 2)
    activities = np.array(layer(x))
    plain = np.array(layer.transform(normalised(x)))
    assert plain.min() < 0
    np.testing.assert_allclose(activities, np.maximum(plain, 0), rtol=1e-3, atol=1e-5)


def test_dropout_is_for_training_alone():
    layer = dense(units=2000, activation="sigmoid", dropout=0.25)
    x = drawn(4, 5)
    whole = np.array(layer(x))
    assert whole.min() > 0
    dropped = np.array(layer(x, training=True))
    assert np.mean(dropped == 0) == pytest.approx(0.25, abs=0.02)
    kept = dropped != 0
    np.testing.assert_allclose(dropped[kept], whole[kept] / 0.75, rtol=1e-5)
    assert np.any((np.array(layer(x, training=True)) == 0) != (dropped == 0))
    np.testing.assert_array_equal(layer(x), whole)
    np.testing.assert_array_equal(layer.test_step(x)[1].inputs, whole)
    _, batch = layer.train_step(x)
    assert np.mean(np.array(batch.inputs) == 0) == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("normalization", ["length", "batch"])
def test_a_layer_that_is_not_trainable_takes_no_step(normalization):
    layer = dense(normalization=normalization)
    x = drawn(8, 5)
    layer.train_step(x)
    layer.trainable = False
    before = layer.get_weights()
    metrics, _ = layer.train_step(x)
    measured, _ = layer.test_step(x)
    assert float(metrics["loss"]) == float(measured["loss"])
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert int(layer.optimizer.iterations) == 1
    layer.trainable = True
    layer.train_step(x)
    assert np.abs(layer.get_weights()[0] - before[0]).max() > 1e-4


def test_a_frozen_transform_stays_while_its_normalization_learns():
    layer = dense(normalization="layer")
    layer.transform.trainable = False
    before = [convert_to_numpy(weight) for weight in layer.transform.weights]
    gamma = convert_to_numpy(layer.normalization.gamma)
    layer.train_step(drawn(8, 5))
    for old, weight in zip(before, layer.transform.weights, strict=True):
        np.testing.assert_array_equal(convert_to_numpy(weight), old)
    assert np.abs(convert_to_numpy(layer.normalization.gamma) - gamma).max() > 1e-4


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("measure", ["mean_of_squares", "sum_of_squares"])
def test_values_agree_between_policies(measure, policy):
    settings = {
        "units": 64,
        "features": 40,
        "goodness": measure,
        "loss": losses.Logistic(threshold=1.0 if measure == "mean_of_squares" else 64.0),
        "kernel_initializer": keras.initializers.GlorotNormal(seed=1),
        "bias_initializer": "zeros",
    }
    x = drawn(16, 40)
    exact_layer = dense(**settings)
    exact, exact_batch = exact_layer.test_step(x)
    keras.config.set_dtype_policy(policy)
    layer = dense(**settings)
    metrics, batch = layer.test_step(x)
    activities = batch.inputs
    assert keras.backend.standardize_dtype(activities.dtype) == layer.compute_dtype
    assert keras.backend.standardize_dtype(layer.kernel.dtype) == "float32"
    for name in layer.metric_names:
        assert keras.backend.standardize_dtype(metrics[name].dtype) == "float32"
    for name in ("loss", "positive_goodness", "negative_goodness"):
        np.testing.assert_allclose(metrics[name], exact[name], rtol=2e-2)
        assert np.any(np.array(metrics[name]) != np.array(exact[name]))
    # The goodness of the very activities, however wide, is exact.
    wide = np.array(keras.ops.cast(activities, "float32"))
    np.testing.assert_array_equal(
        np.array(metrics["positive_goodness"]), np.array(layer.goodness(wide))[:8]
    )
    np.testing.assert_allclose(wide, exact_batch.inputs, rtol=4e-2, atol=4e-2)
    for one in (exact_layer, layer):
        one.train_step(x)
    # The two round differently: of the 2,560 weights one is 0.0023 away under JAX.
    atol = 2.5e-3 if keras.backend.backend() == "jax" else 2e-3
    np.testing.assert_allclose(
        convert_to_numpy(layer.kernel), convert_to_numpy(exact_layer.kernel), atol=atol
    )


@pytest.mark.parametrize(
    ("everywhere", "own", "expected"),
    [
        ("float32", "mixed_bfloat16", "bfloat16"),
        ("mixed_bfloat16", "float32", "float32"),
        ("mixed_bfloat16", None, "bfloat16"),
    ],
)
@pytest.mark.parametrize("training", [False, True])
def test_activities_have_the_layers_own_compute_dtype(everywhere, own, expected, training):
    keras.config.set_dtype_policy(everywhere)
    layer = dense(dropout=0.5, dtype=own)
    activities = layer(drawn(4, 5), training=training)
    assert layer.compute_dtype == expected
    assert keras.backend.standardize_dtype(activities.dtype) == expected


def test_a_float32_layer_is_exact_under_a_global_bfloat16_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = dense(dtype="float32")
    x = drawn(6, 5)
    expected = dense_by_hand(x, *map(convert_to_numpy, layer.transform.weights))
    np.testing.assert_allclose(keras.ops.cast(layer(x), "float32"), expected, rtol=1e-4, atol=1e-5)


def everything():
    return FFDense(
        4,
        activation="tanh",
        use_bias=True,
        kernel_initializer="he_normal",
        bias_initializer="ones",
        kernel_regularizer=keras.regularizers.L2(0.1),
        bias_regularizer=keras.regularizers.L1(0.2),
        kernel_constraint=keras.constraints.MaxNorm(3.0),
        bias_constraint="non_neg",
        goodness=goodness.SumOfSquares(scale=2.0, center=0.25),
        loss=losses.Logistic(threshold="learned", margin=0.5),
        optimizer=keras.optimizers.AdamW(0.01, weight_decay=0.1),
        normalization=LengthNormalization(center=True, epsilon=1e-5),
        dropout=0.3,
        name="everything",
    )


CONFIGURATIONS = {
    "dense": lambda: FFDense(4, loss="symba", optimizer="sgd"),
    "everything": everything,
    "bare": lambda: FFDense(4, activation=None, normalization=None),
    "callable": lambda: FFDense(4, activation=keras.activations.gelu, loss="label_softmax"),
    "bfloat16": lambda: FFDense(4, dtype="mixed_bfloat16", loss="symba"),
    "frozen": lambda: FFDense(4, loss="symba", trainable=False),
    "convolution": lambda: FFLayer(convolution(), loss="logistic", normalization="layer"),
    "stack": lambda: FFLayer(stack(), activation="relu", loss="symba", optimizer="adam"),
    **{
        f"{name} normalization": lambda name=name: FFLayer(
            keras.layers.Dense(3, activation="relu"), normalization=name, loss="symba"
        )
        for name in NORMALIZATIONS
        if name != "class_groups"  # which needs to know their number
    },
    "class group normalization": lambda: FFLayer(
        keras.layers.Dense(3), normalization=ClassGroupNormalization(2), loss="symba"
    ),
}


@mostly_slow("name", CONFIGURATIONS, quick=(0, 2, 4, 6, 8))
def test_round_trip(name):
    layer = CONFIGURATIONS[name]()
    x = drawn(8, 6, 6, 2)
    layer(x)
    if layer.optimizer is not None:
        layer.train_step(x)  # another state than that of a new layer
    serialised = keras.saving.serialize_keras_object(layer)
    through_json = json.loads(json.dumps(serialised))
    for copy in (
        type(layer).from_config(layer.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        keras.saving.deserialize_keras_object(through_json),
    ):
        assert type(copy) is type(layer)
        assert copy is not layer
        copy(x)
        assert json.dumps(copy.get_config()) == json.dumps(layer.get_config())
        assert copy.name == layer.name
        assert copy.trainable == layer.trainable
        copy.set_weights(layer.get_weights())
        np.testing.assert_array_equal(
            keras.ops.cast(copy(x), "float32"), keras.ops.cast(layer(x), "float32")
        )
        if layer.loss is not None:
            assert copy.loss == layer.loss
            assert copy.own_loss == layer.own_loss
            assert float(copy.test_step(x)[0]["loss"]) == float(layer.test_step(x)[0]["loss"])
        assert type(copy.optimizer) is type(layer.optimizer)
        if layer.optimizer is not None:
            assert copy.optimizer.get_config() == layer.optimizer.get_config()


def test_config_keys_of_dense_are_its_arguments():
    config = everything().get_config()
    assert "transform" not in config
    assert config["units"] == 4
    assert config["dropout"] == 0.3
    layer = FFDense.from_config(config)
    dense_ = layer.transform
    assert float(dense_.kernel_regularizer.l2) == pytest.approx(0.1)
    assert float(dense_.bias_regularizer.l1) == pytest.approx(0.2)
    assert dense_.kernel_constraint.max_value == 3.0
    assert isinstance(dense_.bias_constraint, keras.constraints.NonNeg)
    assert isinstance(dense_.kernel_initializer, keras.initializers.HeNormal)
    assert isinstance(dense_.bias_initializer, keras.initializers.Ones)
    assert layer.activation is keras.activations.tanh
    assert layer.goodness == goodness.SumOfSquares(scale=2.0, center=0.25)
    assert layer.own_loss == losses.Logistic(threshold="learned", margin=0.5)
    assert layer.units == 4


def test_a_layer_in_a_functional_model_is_saved_and_loaded(tmp_path):
    inputs = keras.Input((6,))
    model = keras.Model(inputs, FFDense(3, loss="symba")(FFDense(4, dropout=0.5)(inputs)))
    x = drawn(5, 6)
    model.save(tmp_path / "plain.keras")
    loaded = keras.saving.load_model(tmp_path / "plain.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert loaded.layers[-1].own_loss == losses.SymBa()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "weights"),
    [
        ({"pooling": keras.layers.BatchNormalization}, 2),
        ({"activation": lambda: keras.layers.PReLU("random_uniform")}, 1),
    ],
    ids=["pooling", "activation"],
)
def test_parts_with_weights_learn_and_are_saved(part, weights, tmp_path):
    """They are built with the layer, for what its transform answers."""
    part = {name: make() for name, make in part.items()}
    model = keras_ff.FFModel([FFConv2D(4, 3, **part)], 2, label_embedding="overlay")
    model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    x = np.random.default_rng(0).normal(size=(8, 6, 6, 1)).astype("float32")
    model.build(x.shape)
    layer = model.ff_layers[0]
    assert len(layer.trainable_variables) == 2 + weights
    before = [np.array(convert_to_numpy(each)) for each in layer.trainable_variables]
    model.fit(x, np.arange(8) % 2, verbose=0)
    for old, new in zip(before, layer.trainable_variables, strict=True):
        assert np.abs(old - convert_to_numpy(new)).max() > 1e-6
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))


def test_pooling_is_told_that_it_trains():
    pooling = keras.layers.Dropout(0.9, seed=1)
    layer = FFConv2D(4, 3, pooling=pooling)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 1)).astype("float32")
    layer.build(x.shape)
    shares = [float(np.mean(np.array(layer(x, training=bool(flag))) == 0)) for flag in (0, 1)]
    assert shares[0] < 0.8 < shares[1]


def test_samples_that_do_not_fit_the_first_layer_name_it():
    layers = [FFConv2D(4, 3, goodness="class_groups", name="first")]
    model = keras_ff.FFModel(layers, 2, label_embedding=None, negatives=None)
    with pytest.raises(ValueError, match=r"first layer, 'first', cannot take.*Received.*\(64,\)"):
        model.build((None, 64))
