"""Muon: orthogonal updates of matrices, those of convolutions among them; the rest by AdamW."""

import json

import keras
import numpy as np
import pytest
import sklearn.datasets
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.layers import FFConv2D, FFDense
from keras_ff.losses import SupCon
from keras_ff.optimizers import Muon, OptimizerTemplate
from tests.helpers import drawn

# An update is the orthogonal matrix itself.
BARE = {"learning_rate": 1.0, "weight_decay": None, "rms_rate": None}


def moved(optimizer, start, *gradients):
    """What gradients, one after the other, make of a variable."""
    variable = keras.Variable(start)
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return convert_to_numpy(variable)


def singular_values(update):
    return np.linalg.svd(update.reshape(-1, update.shape[-1]), compute_uv=False)


@pytest.mark.parametrize(
    "shape", [(3, 3, 8, 16), (1, 1, 6, 20), (2, 2, 2, 3, 5), (30, 12)], ids=str
)
def test_the_singular_values_of_an_update_are_near_one(shape):
    start, gradient = drawn(shape, seed=2), drawn(shape)
    assert singular_values(gradient).max() > 2.5
    update = start - moved(Muon(**BARE, ns_steps=5), start, gradient)
    found = singular_values(update)
    assert found.min() > 0.65 and found.max() < 1.25
    # It points where U Vᵀ points, of the gradient U S Vᵀ.
    left, _, right = np.linalg.svd(gradient.reshape(-1, shape[-1]), full_matrices=False)
    cosine = (left @ right).ravel() @ update.ravel()
    assert cosine / np.linalg.norm(left @ right) / np.linalg.norm(update) > 0.98


def test_three_iterations_by_hand():
    start, gradient = np.zeros((2, 2, 3, 4), "float32"), drawn(2, 2, 3, 4)
    x = gradient.reshape(12, 4).astype("float64")
    x /= np.linalg.norm(x)
    for _ in range(3):
        square = x.T @ x
        x = 3.4445 * x + x @ (-4.775 * square + 2.0315 * square @ square)
    found = -moved(Muon(**BARE), start, gradient).reshape(12, 4)
    np.testing.assert_allclose(found, x, rtol=1e-4, atol=1e-5)
    # At the size of Adam's: 0.2 √12 times as long.
    scaled = moved(Muon(**{**BARE, "rms_rate": 0.2}), start, gradient).reshape(12, 4)
    np.testing.assert_allclose(scaled, -0.2 * 12**0.5 * x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "matrix", "settings"),
    [
        ((3, 3, 4, 5), (36, 5), {}),
        ((3, 3, 4, 5), (36, 5), {"nesterov": False}),
        ((3, 3, 4, 5), (36, 5), {"clipnorm": 0.1}),
        ((2, 3, 9, 6), (54, 6), {"ns_steps": 1}),  # locally connected, at 2 × 3 positions
    ],
    ids=str,
)
def test_a_kernel_moves_as_its_matrix_does_under_keras(shape, matrix, settings):
    start, gradients = drawn(shape), [drawn(shape, seed=seed) for seed in (2, 3, 4)]
    settings = {
        "learning_rate": 0.1,
        "momentum": 0.8,
        "weight_decay": 0.3,
        "ns_steps": 4,
        **settings,
    }
    ours = moved(Muon(**settings), start, *gradients)
    theirs = moved(
        keras.optimizers.Muon(**settings),
        start.reshape(matrix),
        *(gradient.reshape(matrix) for gradient in gradients),
    )
    np.testing.assert_allclose(ours.reshape(matrix), theirs, rtol=1e-5, atol=1e-6)
    assert np.abs(ours - start).max() > 0.1


@pytest.mark.parametrize(
    ("shape", "name", "settings"),
    [
        ((), "threshold", {}),
        ((7,), "bias", {}),
        ((6, 2, 4), "query", {}),  # of attention
        ((3, 3, 5, 1), "depthwise", {}),
        ((6, 1), "column", {}),
        ((6, 4), "embeddings", {}),
        ((6, 4), "first", {"exclude_layers": ["second", "fir"]}),
    ],
    ids=str,
)
def test_vectors_and_what_is_excluded_go_to_adamw(shape, name, settings):
    start, gradients = np.asarray(drawn(shape)), [drawn(shape, seed=seed) for seed in (2, 3)]
    ends = []
    for optimizer in (
        Muon(0.1, adam_weight_decay=0.2, **settings),
        keras.optimizers.AdamW(0.1, weight_decay=0.2),
    ):
        variable = keras.Variable(start, name=name)
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        ends.append(convert_to_numpy(variable))
    np.testing.assert_allclose(*ends, rtol=1e-5, atol=1e-6)


def test_heads_go_to_adamw_unless_wanted():
    def matrices(**settings):
        """Names of the variables that have no second moment."""
        layer = FFConv2D(8, goodness="class_groups", auxiliary=SupCon(units=4))
        layer.num_classes = 4
        layer.build((None, 6, 6, 3))
        optimizer = Muon(**settings)
        optimizer.build(layer.trainable_variables)
        pairs = zip(layer.trainable_variables, optimizer.adam_velocities, strict=True)
        return ["/".join(one.path.split("/")[-2:]) for one, moment in pairs if moment is None]

    assert matrices() == ["convolution/kernel"]
    assert matrices(exclude_layers=[]) == ["convolution/kernel", "head/kernel"]


def test_a_kernel_without_gradient_stays():
    start, none = drawn(3, 3, 2, 4), np.zeros((3, 3, 2, 4), "float32")
    np.testing.assert_array_equal(moved(Muon(**BARE), start, none, none), start)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"ns_steps": 0}, "ns_steps.*at least 1"),
        ({"ns_steps": 2.5}, "ns_steps"),
        ({"exclude_layers": "head"}, r"\['head'\].*Received: exclude_layers='head'"),
        ({"exclude_layers": [1]}, "regular expressions"),
    ],
    ids=str,
)
def test_refusals(settings, match):
    with pytest.raises(ValueError, match=match):
        Muon(**settings)


def test_it_is_found_by_name_and_by_its_configuration():
    rate = keras.optimizers.schedules.CosineDecay(0.01, 10)
    optimizer = Muon(rate, ns_steps=4, exclude_layers=["a"], momentum=0.8, use_ema=True)
    config = json.loads(json.dumps(keras.optimizers.serialize(optimizer)))
    for copy in (
        keras.saving.deserialize_keras_object(config),
        keras.optimizers.get(dict(config)),  # where Keras has a Muon too
        OptimizerTemplate(config).copy(),
        OptimizerTemplate(optimizer).copy(),
    ):
        assert type(copy) is Muon
        assert copy.get_config() == optimizer.get_config()
    assert type(OptimizerTemplate("muon").copy()) is Muon
    theirs = OptimizerTemplate(keras.optimizers.serialize(keras.optimizers.Muon()))
    assert type(theirs.copy()) is keras.optimizers.Muon


def small_network(policy="float32", **settings):
    """Two convolutions of class groups and a dense layer; the last has an optimizer of its own."""
    groups = {"goodness": "class_groups", "activation": "relu", "dtype": policy}
    layers = [
        FFConv2D(20, **groups, pooling=keras.layers.MaxPooling2D(2)),
        FFConv2D(20, **groups, auxiliary=SupCon(units=8)),
        FFDense(40, **groups, optimizer=Muon(0.01, **settings)),
    ]
    return keras_ff.FFModel(
        layers,
        num_classes=10,
        label_embedding=None,
        negatives=None,
        layer_schedule="simultaneous",
        dtype=policy,
    )


@pytest.fixture(scope="module")
def digits():
    data = sklearn.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return data.images[order, ..., None].astype("float32") / 16, data.target[order]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_saved_network_goes_on_as_if_it_had_not_been_interrupted(policy, digits, tmp_path):
    x, y = digits[0][:64], digits[1][:64]
    how = {"batch_size": 32, "shuffle": False, "verbose": 0}
    rate = keras.optimizers.schedules.CosineDecay(0.02, 12)
    settings = {"use_ema": True, "ema_momentum": 0.5, "global_clipnorm": 1.0}
    keras.utils.set_random_seed(1)
    model = small_network(policy, **settings)
    model.compile(Muon(rate, **settings))
    model.fit(x, y, epochs=1, **how)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    optimizers = again.optimizer.optimizers
    assert [type(optimizer) for optimizer in optimizers] == 3 * [Muon]
    before = [convert_to_numpy(one) for one in model.trainable_variables]
    for each in (model, again):
        each.fit(x, y, epochs=2, initial_epoch=1, **how)
    for old, one, other in zip(
        before, model.trainable_variables, again.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
        assert np.abs(convert_to_numpy(one) - old).max() > 0


@pytest.mark.slow
def test_an_overflow_skips_the_step(digits):
    x, y = digits[0][:8], digits[1][:8]
    model = small_network("mixed_float16")
    model.compile(Muon(0.01))
    model.train_on_batch(x, y)
    before = [convert_to_numpy(one) for one in model.trainable_variables]
    model.optimizer.dynamic_scale.assign(1e38)
    model.train_on_batch(x, y)
    for old, one in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one, old)


def layers_of(kind):
    groups = {"goodness": "class_groups", "activation": "relu"}
    if kind == "perceptron":
        return [FFDense(100, **groups, normalization="centered_length") for _ in range(2)]
    pooling = {"pooling": keras.layers.MaxPooling2D(2)}
    normalized = {**groups, "normalization": "class_groups"}
    return [FFConv2D(20, **groups, **pooling), FFConv2D(40, **normalized, **pooling)]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "least"), [("perceptron", 0.93), ("convolutions", 0.93)])
def test_networks_learn_digits(kind, least, digits):
    x, y = digits
    keras.utils.set_random_seed(1)
    model = keras_ff.FFModel(
        layers_of(kind), 10, label_embedding=None, negatives=None, layer_schedule="simultaneous"
    )
    model.compile(Muon(0.01), metrics=["accuracy"])
    model.fit(x[:1400], y[:1400], batch_size=50, epochs=8, verbose=0)
    accuracy = model.evaluate(x[1400:], y[1400:], verbose=0, return_dict=True)["accuracy"]
    assert accuracy > least
