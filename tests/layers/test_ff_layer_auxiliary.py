"""Auxiliary terms of an FFLayer: what joins the loss, from the positives alone."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.layers import Batch, FFConv2D, FFDense, FFLayer, PeerNormalization
from keras_ff.losses import SimilarityMatching, SupCon
from tests.helpers import activities_of, drawn
from tests.helpers.either_backend import value_and_gradients

RATE = 0.1
LABELS = np.array([0, 1, 0, 1, 1, 0, 0, 1])


def dense(auxiliary=None, seed=0, units=5, **settings):
    settings = {"loss": "symba", "optimizer": keras.optimizers.SGD(RATE), **settings}
    initializer = keras.initializers.GlorotNormal(seed=seed)
    return FFDense(
        units,
        activation="tanh",
        kernel_initializer=initializer,
        auxiliary=auxiliary,
        **settings,
    )


# --- the terms by hand, in float64 ---------------------------------------------------------------


def activity_by_hand(positives, labels):
    """0.3 · Σ|h| + 0.2 · Σh², which Keras divides by the number of samples."""
    total = 0.3 * np.abs(positives).sum() + 0.2 * np.square(positives).sum()
    return total / len(positives)


def peers_by_hand(positives, labels, means=0.5):
    """Σ_j weight · (m_j − mean(m)) · mean_b(h_bj), after the means have taken the batch in."""
    batch_means = positives.mean(tuple(range(positives.ndim - 1)))
    means = 0.9 * means + 0.1 * batch_means
    return 2.0 * np.sum((means - means.mean()) * batch_means)


def supcon_by_hand(positives, labels):
    z = positives.mean(tuple(range(1, positives.ndim - 1)))
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        total = sum(np.exp(z[i] @ z[a] / 0.5) for a in others)
        peers = [a for a in others if labels[a] == labels[i]]
        losses.append(-np.mean([np.log(np.exp(z[i] @ z[p] / 0.5) / total) for p in peers]))
    return 0.7 * np.mean(losses)


def similarity_by_hand(positives, labels):
    """The squared distance of cosine similarities, of activities and of labels of two classes."""
    z = positives.std(tuple(range(1, positives.ndim - 1))) if positives.ndim > 2 else positives
    z = z - z.mean(axis=1, keepdims=True)
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    of_labels = np.where(labels[:, None] == labels, 1.0, -1.0)
    return 0.6 * np.mean((z @ z.T - of_labels) ** 2)


TERMS = {
    "activity": (
        lambda: keras.layers.ActivityRegularization(l1=0.3, l2=0.2),
        activity_by_hand,
    ),
    "peers": (lambda: PeerNormalization(weight=2.0), peers_by_hand),
    "supcon": (lambda: SupCon(units=None, temperature=0.5, weight=0.7), supcon_by_hand),
    "similarity": (
        lambda: SimilarityMatching(weight=0.6, use_head=False, num_classes=2),
        similarity_by_hand,
    ),
}
LEARNING_ALONE = {"peers"}


def made(name):
    return [TERMS[one][0]() for one in name.split("+")]


def by_hand(name, positives, labels, training=True):
    names = [one for one in name.split("+") if training or one not in LEARNING_ALONE]
    return sum(TERMS[one][1](positives.astype("float64"), labels) for one in names)


NAMES = [*TERMS, "activity+peers+supcon"]


@pytest.mark.parametrize("streams", [2, 4])
@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_the_plain_one_and_the_terms_of_the_positives(name, streams):
    inputs = drawn((8 * streams, 6))
    plain, layer = dense(), dense(made(name))
    expected = float(plain.test_step(Batch(inputs, streams))[0]["loss"])
    positives = convert_to_numpy(plain(inputs[:8]))
    for training in (False, True):
        loss = float(
            layer.objective(Batch(inputs, streams, labels=LABELS), training=training)[0]["loss"]
        )
        term = by_hand(name, positives, LABELS, training)
        assert loss == pytest.approx(expected + term, rel=1e-5)
        assert abs(term) > 1e-3 or name == "peers"


@pytest.mark.parametrize("name", NAMES)
def test_other_metrics_and_activities_are_those_of_the_layer_without(name):
    inputs = drawn((16, 6))
    metrics, activities = dense(made(name)).objective(Batch(inputs, labels=LABELS), training=True)
    others, expected = dense().objective(Batch(inputs), training=True)
    np.testing.assert_array_equal(activities, expected)
    for name in ("positive_goodness", "negative_goodness", "pair_accuracy"):
        np.testing.assert_array_equal(metrics[name], others[name])


@pytest.mark.parametrize("name", NAMES)
def test_negatives_never_enter(name):
    """The term is the same beside any negatives, and moves the same running means."""
    positives = drawn((8, 6))
    terms, states = [], []
    for seed in (3, 4):
        inputs = np.concatenate([positives, 5 * drawn((8, 6), seed=seed)])
        layer = dense(made(name))
        with_terms = layer.objective(Batch(inputs, labels=LABELS), training=True)[0]["loss"]
        terms.append(float(with_terms) - float(dense().test_step(inputs)[0]["loss"]))
        states.append([convert_to_numpy(w) for part in layer.auxiliary for w in part.weights])
    assert terms[0] == pytest.approx(terms[1], abs=2e-6)
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)


def test_sample_weights_are_of_the_goodness_loss_alone():
    """The terms are of the batch as a whole."""
    inputs, weight = drawn((16, 6)), np.linspace(0, 2, 8).astype("float32")
    terms = []
    for sample_weight in (None, weight):
        losses = [
            float(
                layer.test_step(Batch(inputs, sample_weight=sample_weight, labels=LABELS))[0][
                    "loss"
                ]
            )
            for layer in (dense(made("activity+supcon")), dense())
        ]
        terms.append(losses[0] - losses[1])
    assert terms[0] == pytest.approx(terms[1], rel=1e-5)


def test_penalties_of_a_terms_own_weights_count_once():
    class Weighted(keras.layers.Layer):
        def build(self, shape):
            self.factors = self.add_weight(
                shape=(shape[-1],), initializer="ones", regularizer=keras.regularizers.L2(1.0)
            )

        def call(self, activities):
            self.add_loss(0.0 * keras.ops.sum(activities * self.factors))
            return activities

    inputs = drawn((8, 6))
    plain, weighted = dense(), dense(Weighted())
    losses = []
    for layer in (plain, weighted):
        layer.build((None, 6))
        losses.append(float(layer.test_step(inputs)[0]["loss"]))
    assert losses[1] - losses[0] == pytest.approx(5.0, rel=1e-5)  # Σ 1² of five units


def test_positions_and_class_groups():
    """Images with one stream: all samples are positives."""
    inputs = drawn((8, 4, 4, 2))
    goodness = keras_ff.goodness.ClassGroups(num_classes=2)
    plain, layer = (
        FFConv2D(
            4,
            goodness=goodness,
            loss="sparse_categorical_crossentropy",
            optimizer="sgd",
            auxiliary=auxiliary,
            kernel_initializer=keras.initializers.GlorotNormal(seed=0),
        )
        for auxiliary in (None, made("activity+peers+supcon"))
    )
    for each in (plain, layer):
        each.num_classes = 2
    expected = float(plain.test_step(Batch(inputs, 1, labels=LABELS))[0]["loss"])
    metrics, _ = layer.objective(Batch(inputs, 1, labels=LABELS), training=True)
    term = by_hand("activity+peers+supcon", convert_to_numpy(plain(inputs)), LABELS)
    assert float(metrics["loss"]) == pytest.approx(expected + term, rel=1e-5)


# --- gradients -----------------------------------------------------------------------------------


def gradients_of(value, layer):
    weights = layer.trainable_weights
    _, gradients = value_and_gradients(value, *weights)
    return [
        np.zeros(weight.shape) if gradient is None else gradient
        for weight, gradient in zip(weights, gradients, strict=True)
    ]


@pytest.mark.parametrize("name", TERMS)
def test_the_gradient_of_a_term_is_that_of_finite_differences(name):
    """Through the layer's transform: kernel and bias."""
    inputs = drawn((16, 6))
    layer, plain = dense(made(name)), dense()
    layer.test_step(Batch(inputs, labels=LABELS))
    plain.test_step(inputs)
    joint = gradients_of(
        lambda: layer.objective(Batch(inputs, labels=LABELS), training=True)[0]["loss"], layer
    )
    alone = gradients_of(lambda: plain.test_step(inputs)[0]["loss"], plain)
    found = [one - other for one, other in zip(joint, alone, strict=True)]
    x = inputs[:8].astype("float64")
    x = x / np.sqrt(np.mean(x**2, axis=1, keepdims=True) + 1e-8)
    kernel, bias = (array.astype("float64") for array in plain.get_weights())
    start = np.tanh(x @ kernel + bias)
    # The means are held constant under the gradient of the penalty.
    means = 0.9 * 0.5 + 0.1 * start.mean(0)

    def term(kernel, bias):
        h = np.tanh(x @ kernel + bias)
        if name == "peers":
            return 2.0 * np.sum((means - means.mean()) * h.mean(0))
        return TERMS[name][1](h, LABELS)

    for place, array in enumerate((kernel, bias)):
        numeric = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            values = []
            for step in (1e-6, -1e-6):
                arrays = [kernel.copy(), bias.copy()]
                arrays[place][index] += step
                values.append(term(*arrays))
            numeric[index] = (values[0] - values[1]) / 2e-6
        assert np.abs(numeric).max() > 1e-3
        np.testing.assert_allclose(found[place], numeric, rtol=1e-3, atol=2e-5)


def test_heads_learn_with_the_layer_by_its_own_optimizer():
    """A step of plain gradient descent moves every weight by its rate times its gradient."""
    inputs = drawn((16, 6))
    layer = dense([SupCon(units=4, temperature=0.5)])
    layer.test_step(Batch(inputs, labels=LABELS))
    before = [convert_to_numpy(weight) for weight in layer.trainable_weights]
    assert len(before) == 5  # kernel and bias, the head's kernel, gamma and beta
    gradients = gradients_of(
        lambda: layer.objective(Batch(inputs, labels=LABELS), training=True)[0]["loss"], layer
    )
    layer.train_step(Batch(inputs, labels=LABELS))
    for old, gradient, weight in zip(before, gradients, layer.trainable_weights, strict=True):
        assert np.abs(gradient).max() > 1e-4
        np.testing.assert_allclose(weight, old - RATE * gradient, rtol=0, atol=1e-6)


# --- in a model ----------------------------------------------------------------------------------


def compiled(model, eager=True):
    model.compile(keras.optimizers.SGD(RATE), "symba", run_eagerly=eager)
    return model


def layers_with(*names):
    return [
        FFDense(
            4 + k,
            activation="tanh",
            kernel_initializer=keras.initializers.GlorotNormal(seed=k),
            auxiliary=made(name) if name else None,
        )
        for k, name in enumerate(names)
    ]


def state(layer):
    return [convert_to_numpy(weight) for weight in layer.weights]


@pytest.mark.slow
def test_running_means_follow_in_layers_that_learn_and_in_no_others():
    def head():
        steps = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.1)
        return SupCon(units=3, temperature=steps)

    layers = [FFDense(4, auxiliary=[PeerNormalization(), head()]) for _ in range(3)]
    model = compiled(keras_ff.FFModel(layers, 2))
    x, y = drawn((8, 6)), LABELS
    model.build(x.shape)
    for learning in ((1,), (0, 2)):
        model.learning_layers = learning
        before = [state(layer) for layer in layers]
        model.train_on_batch(x, y)
        for index, layer in enumerate(layers):
            same = [
                np.array_equal(old, new)
                for old, new in zip(before[index], state(layer), strict=True)
            ]
            assert same == [index not in learning] * len(same), f"layer {index} in {learning}"
    before = [state(layer) for layer in layers]
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    for old, layer in zip(before, layers, strict=True):
        for one, other in zip(old, state(layer), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_running_means_of_several_steps_are_of_the_positives():
    """m ← 0.9 m + 0.1 mean(h), step by step, for both layers of a model."""
    layers = layers_with("peers", "peers")
    model = compiled(keras_ff.FFModel(layers, 2, layer_schedule="simultaneous"))
    x = drawn((8, 6))
    model.build(x.shape)
    expected = [np.full(4, 0.5), np.full(5, 0.5)]
    for _ in range(3):
        positives = model.samples(x, LABELS)["positive"]
        for index, activities in enumerate(activities_of(model, positives)):
            mean = convert_to_numpy(activities).astype("float64").mean(0)
            expected[index] = 0.9 * expected[index] + 0.1 * mean
        model.train_on_batch(x, LABELS)
        for layer, means in zip(layers, expected, strict=True):
            np.testing.assert_allclose(layer.auxiliary[0].running_means, means, atol=1e-6)


@pytest.mark.slow
def test_compiled_steps_are_the_eager_ones():
    """Three layers, each with other terms, over several steps, with a short last batch."""
    x, y = drawn((20, 6)), np.arange(20) % 2
    histories, weights = [], []
    for eager in (True, False):
        model = compiled(
            keras_ff.FFModel(
                layers_with("activity+peers", "supcon", "peers"),
                2,
                layer_schedule="simultaneous",
                negatives=keras_ff.negatives.RandomLabels(seed=1),
            ),
            eager,
        )
        history = model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
        histories.append(history.history)
        weights.append(model.get_weights())
        assert np.isfinite(history.history["loss"]).all()
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], rtol=1e-4, err_msg=name)
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_a_term_of_one_layer_is_no_part_of_anothers_loss():
    x = drawn((8, 6))
    losses = []
    for names in ((None, None, None), ("activity", None, None), (None, "activity+supcon", None)):
        model = compiled(
            keras_ff.FFModel(
                layers_with(*names), 2, layer_schedule="simultaneous", negatives="all_labels"
            )
        )
        logs = model.test_on_batch(x, LABELS, return_dict=True)
        losses.append([float(logs[f"layer_{number}/loss"]) for number in (1, 2, 3)])
        assert float(logs["loss"]) == pytest.approx(sum(losses[-1]), rel=1e-5)
    plain, first, second = (np.array(one) for one in losses)
    assert list(np.isclose(first, plain, rtol=1e-6)) == [False, True, True]
    assert list(np.isclose(second, plain, rtol=1e-6)) == [True, False, True]


def test_locality_counts_the_heads_of_terms():
    def model_with(*auxiliary):
        layers = [FFDense(4, auxiliary=one) for one in auxiliary]
        model = keras_ff.FFModel(layers, 2)
        model.build((None, 6))
        return model

    assert model_with(None, None).locality == 1
    assert model_with([PeerNormalization(), keras.layers.ActivityRegularization(0.1)]).locality == 1
    assert model_with(SupCon(units=None)).locality == 1
    assert model_with(None, SupCon(units=3)).locality == 2
    assert model_with([SupCon(units=3), PeerNormalization()], None).locality == 2
    two = FFLayer(
        keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)]), auxiliary=SupCon(3)
    )
    two.build((None, 6))
    assert two.locality == 3


# --- configuration -------------------------------------------------------------------------------


def test_round_trip_of_the_configuration():
    layer = dense(made("activity+peers+supcon"))
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert [type(term) for term in again.auxiliary] == [type(term) for term in layer.auxiliary]
    for one, other in zip(layer.auxiliary, again.auxiliary, strict=True):
        assert one.get_config() == other.get_config()
    assert again.get_config() == layer.get_config()
    alone = FFDense(4, auxiliary=PeerNormalization(weight=0.2))
    assert [term.weight for term in FFDense.from_config(alone.get_config()).auxiliary] == [0.2]
    assert FFDense(4).get_config()["auxiliary"] == []


@pytest.mark.slow
def test_saved_and_loaded_it_goes_on_as_before(tmp_path):
    schedule = keras.optimizers.schedules.PolynomialDecay(1.0, 10, 0.1)
    layers = [
        FFDense(4, auxiliary=[PeerNormalization(), SupCon(3, temperature=schedule)]),
        FFDense(5, auxiliary=PeerNormalization()),
    ]
    model = compiled(
        keras_ff.FFModel(
            layers,
            2,
            layer_schedule="simultaneous",
            negatives=keras_ff.negatives.RandomLabels(seed=1),
        )
    )
    x = drawn((8, 6))
    for _ in range(3):
        model.train_on_batch(x, LABELS)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.ff_layers[0].auxiliary[1].steps) == 3
    for each in (model, loaded):
        each.reset_metrics()
    logs = [each.train_on_batch(x, LABELS, return_dict=True) for each in (model, loaded)]
    for name, value in logs[0].items():
        assert float(value) == pytest.approx(float(logs[1][name]), rel=1e-6), name
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_terms_in_float32_under_mixed_precision():
    inputs = drawn((16, 6))
    values = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(policy)
        layer = dense(made("activity+peers+supcon"))
        loss = layer.objective(Batch(inputs, labels=LABELS), training=True)[0]["loss"]
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
        assert layer.auxiliary[1].running_means.dtype == "float32"
        values.append(float(loss))
    assert values[1] == pytest.approx(values[0], rel=0.02)


@pytest.mark.parametrize(
    "bad", ["peers", [PeerNormalization(), 3], np.mean], ids=["name", "list", "function"]
)
def test_terms_that_are_no_layers_are_refused(bad):
    with pytest.raises(ValueError, match="auxiliary term"):
        FFDense(4, auxiliary=bad)


def test_terms_of_labels_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match=r"without labels.*Received: .*SupCon"):
        keras_ff.FFModel(
            [FFDense(4, auxiliary=SupCon())],
            2,
            label_embedding=None,
            negatives="perturbation",
            readout="softmax",
        )
