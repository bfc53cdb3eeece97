"""`evaluate`, `predict` and the methods that take one batch."""

import keras
import numpy as np
import pytest

import keras_ff

FIGURES = ("loss", "positive_goodness", "negative_goodness", "pair_accuracy")
NAMES = ["loss", "accuracy", *(f"layer_{number}/{name}" for number in (1, 2) for name in FIGURES)]
# A former name, for one release more.
NAMES += ["layer_1/pairs_told_apart", "layer_2/pairs_told_apart"]


@pytest.fixture
def trained(new_model, fit, two_classes):
    """A model after an epoch, with accuracy as its metric."""
    model = new_model(metrics=["accuracy"])
    fit(model, *two_classes)
    return model


# --- evaluate ---------------------------------------------------------------------------


@pytest.mark.slow
def test_evaluate_as_a_dictionary(trained, two_classes, losses_by_hand):
    x, y = two_classes
    logs = trained.evaluate(x, y, batch_size=20, verbose=0, return_dict=True)
    losses = losses_by_hand(trained, x, y, 1 - y)
    assert logs["loss"] == pytest.approx(losses.sum(axis=0).mean(), rel=1e-5)
    assert logs["layer_1/loss"] == pytest.approx(losses[0].mean(), rel=1e-5)
    assert logs["layer_2/loss"] == pytest.approx(losses[1].mean(), rel=1e-5)
    accuracy = np.mean(np.argmax(trained.predict(x, verbose=0), axis=1) == y)
    assert logs["accuracy"] == pytest.approx(accuracy)
    assert set(logs) == set(NAMES)
    assert all(isinstance(value, float) for value in logs.values())


@pytest.mark.slow
def test_evaluate_as_a_list(trained, two_classes):
    logs = trained.evaluate(*two_classes, verbose=0, return_dict=True)
    metrics = trained.evaluate(*two_classes, verbose=0)
    # What was asked for comes first, as in Keras, then what the layers have to say.
    assert metrics == [logs[name] for name in NAMES]


@pytest.mark.slow
def test_evaluate_weighs_a_short_last_batch(trained, two_classes):
    whole = trained.evaluate(*two_classes, batch_size=30, verbose=0, return_dict=True)
    parts = trained.evaluate(*two_classes, batch_size=7, verbose=0, return_dict=True)
    assert parts == pytest.approx(whole, rel=1e-5)
    halves = [
        trained.evaluate(*(array[part] for array in two_classes), verbose=0, return_dict=True)
        for part in (slice(28), slice(28, 30))
    ]
    unweighted = np.mean([half["loss"] for half in halves])
    assert abs(unweighted - whole["loss"]) > 1e-3


@pytest.mark.slow
def test_evaluate_with_sample_weight(trained, two_classes, losses_by_hand):
    x, y = two_classes
    weight = np.linspace(0.0, 2.0, 30)
    logs = trained.evaluate(x, y, batch_size=7, verbose=0, sample_weight=weight, return_dict=True)
    losses = losses_by_hand(trained, x, y, 1 - y)
    assert logs["loss"] == pytest.approx((weight * losses.sum(axis=0)).mean(), rel=1e-5)
    assert abs(logs["loss"] - losses.sum(axis=0).mean()) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("source", ["tf.data", "PyDataset", "generator"])
def test_evaluate_on_streams(source, trained, two_classes, tf_dataset, py_dataset, generator):
    weight = np.linspace(0.0, 2.0, 30)
    expected = trained.evaluate(
        *two_classes, batch_size=20, verbose=0, sample_weight=weight, return_dict=True
    )
    make = {"tf.data": tf_dataset, "PyDataset": py_dataset, "generator": generator}[source]
    logs = trained.evaluate(make(*two_classes, weight), steps=2, verbose=0, return_dict=True)
    assert logs == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_evaluate_with_one_hot_labels(trained, two_classes):
    x, y = two_classes
    expected = trained.evaluate(x, y, verbose=0, return_dict=True)
    one_hot = keras_ff.FFModel.from_config(trained.get_config())
    one_hot.compile(metrics=["accuracy"])
    one_hot.build((None, 6))
    one_hot.set_weights(trained.get_weights())
    assert one_hot.evaluate(x, np.eye(2)[y], verbose=0, return_dict=True) == pytest.approx(expected)


@pytest.mark.slow
def test_evaluate_is_repeatable_and_leaves_the_model(new_model, three_classes, values, same):
    model = new_model(3, metrics=["accuracy"], layer={"dropout": 0.5, "normalization": "batch"})
    start = values(model)
    first = model.evaluate(*three_classes, verbose=0, return_dict=True)
    assert model.evaluate(*three_classes, verbose=0, return_dict=True) == first
    same(values(model), start)


@pytest.mark.slow
def test_evaluate_prints_few_metrics(trained, two_classes, capsys):
    trained.evaluate(*two_classes, batch_size=20, verbose=1)
    printed = capsys.readouterr().out
    assert "2/2" in printed and " accuracy: " in printed and " loss: " in printed
    assert "layer_" not in printed
    trained.evaluate(*two_classes, batch_size=20, verbose=2)
    printed = capsys.readouterr().out
    assert "2/2 - " in printed and " - accuracy: " in printed and "layer_" not in printed
    trained.evaluate(*two_classes, verbose=0)
    assert capsys.readouterr().out == ""


# --- predict ----------------------------------------------------------------------------


@pytest.mark.slow
def test_predict(trained, two_classes):
    x, y = two_classes
    scores = trained.predict(x, batch_size=7, verbose=0)
    assert isinstance(scores, np.ndarray)
    assert scores.shape == (30, 2) and scores.dtype == np.float32
    np.testing.assert_allclose(scores, trained.predict(x, batch_size=30, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(scores, trained(x), rtol=1e-5)
    assert np.mean(np.argmax(scores, axis=1) == y) > 0.9


@pytest.mark.slow
def test_predict_gives_the_goodness_of_every_class(trained, two_classes):
    x, y = two_classes
    scores = trained.predict(x, verbose=0)
    metrics = trained.evaluate(x, y, verbose=0, return_dict=True)
    for name, labels in (("positive", y), ("negative", 1 - y)):
        total = sum(metrics[f"layer_{number}/{name}_goodness"] for number in (1, 2))
        assert scores[np.arange(30), labels].mean() == pytest.approx(total, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["tf.data", "PyDataset", "generator"])
def test_predict_on_streams(source, trained, two_classes, tf_dataset, py_dataset, generator):
    expected = trained.predict(two_classes[0], batch_size=20, verbose=0)
    make = {"tf.data": tf_dataset, "PyDataset": py_dataset, "generator": generator}[source]
    # Labels are welcome and not looked at.
    for arrays in (two_classes[:1], two_classes):
        steps = {"steps": 2} if source == "generator" else {}
        scores = trained.predict(make(*arrays), verbose=0, **steps)
        np.testing.assert_allclose(scores, expected, rtol=1e-6)


@pytest.mark.slow
def test_predict_needs_no_compile(new_model, two_classes):
    model = new_model()
    bare = keras_ff.FFModel.from_config(model.get_config())
    bare.build((None, 6))
    bare.set_weights(model.get_weights())
    scores = bare.predict(two_classes[0], verbose=0)
    np.testing.assert_allclose(scores, model.predict(two_classes[0], verbose=0), rtol=1e-5)


def test_fit_and_evaluate_need_compile(two_classes):
    model = keras_ff.FFModel([keras_ff.layers.FFDense(4)], num_classes=2)
    for method in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match="call `compile"):
            method(*two_classes)


def test_only_trained_layers_score(new_model, fit, two_classes):
    model = new_model(model={"layer_schedule": "greedy"})
    x, _ = two_classes
    both = model.predict(x, verbose=0)
    model.learning_layers = [0]
    model.train_on_batch(*two_classes)
    first = model.predict(x, verbose=0)
    embedded = [model.streams.embed(x, np.full(30, label)) for label in (0, 1)]
    layer = model.ff_layers[0]
    goodness = np.stack([np.array(layer.goodness(layer(rows))) for rows in embedded], axis=1)
    np.testing.assert_allclose(first, goodness, rtol=1e-5)
    assert np.abs(both - first).max() > 0.1


# --- one batch --------------------------------------------------------------------------


@pytest.mark.slow
def test_train_on_batch_is_a_step_of_fit(new_model, fit, three_classes, values, same):
    x, y = three_classes
    by_batch, by_fit = new_model(3), new_model(3)
    for _ in range(2):
        logs = by_batch.train_on_batch(x, y, return_dict=True)
    history = fit(by_fit, x, y, batch_size=30, epochs=2).history
    same(values(by_batch), values(by_fit))
    assert logs == pytest.approx({name: metrics[1] for name, metrics in history.items()})


@pytest.mark.slow
def test_train_on_batch_returns_a_list_in_order(new_model, two_classes):
    model, other = new_model(metrics=["accuracy"]), new_model(metrics=["accuracy"])
    logs = model.train_on_batch(*two_classes, return_dict=True)
    metrics = other.train_on_batch(*two_classes)
    assert metrics == [logs[name] for name in NAMES]


@pytest.mark.slow
def test_train_on_batch_with_class_weight(new_model, two_classes, values, same):
    x, y = two_classes
    model, by_sample = new_model(), new_model()
    model.train_on_batch(x, y, class_weight={0: 0.5, 1: 2.0})
    by_sample.train_on_batch(x, y, sample_weight=np.array([0.5, 2.0], "float32")[y])
    same(values(model), values(by_sample), atol=1e-7)
    assert np.abs(values(model)[1] - values(new_model())[1]).max() > 1e-3


@pytest.mark.slow
def test_train_on_batch_follows_learning_layers(new_model, two_classes, values, same):
    layer = {"normalization": "batch", "dropout": 0.2}
    model = new_model(run_eagerly=False, layer=layer)
    first, second = (layer.variables for layer in model.ff_layers)
    for learning, learner, other in ((0, first, second), (1, second, first)):
        model.learning_layers = [learning]
        before, start = values(learner), values(other)
        model.train_on_batch(*two_classes)
        # No step, no statistics of a normalisation, and no draw of a generator but the learner's.
        same(values(other), start)
        assert all(np.any(one != old) for one, old in zip(values(learner), before, strict=True))


@pytest.mark.slow
def test_test_on_batch(trained, two_classes, values, same):
    start = values(trained)
    logs = trained.test_on_batch(*two_classes, return_dict=True)
    expected = trained.evaluate(*two_classes, batch_size=30, verbose=0, return_dict=True)
    assert logs == pytest.approx(expected, rel=1e-6)
    metrics = trained.test_on_batch(*two_classes)
    assert metrics == pytest.approx([expected[name] for name in NAMES], rel=1e-6)
    weight = np.linspace(0.0, 2.0, 30)
    weighted = trained.test_on_batch(*two_classes, sample_weight=weight, return_dict=True)
    assert abs(weighted["loss"] - logs["loss"]) > 1e-3
    same(values(trained), start)


@pytest.mark.slow
def test_predict_on_batch(trained, two_classes):
    scores = trained.predict_on_batch(two_classes[0])
    assert isinstance(scores, np.ndarray) and scores.dtype == np.float32
    np.testing.assert_allclose(scores, trained.predict(two_classes[0], verbose=0), rtol=1e-5)


# --- retracing --------------------------------------------------------------------------


class Counting(keras_ff.FFModel):
    """Counts how often Python runs through its steps: once a trace."""

    learned = scored = 0

    def train_on(self, *data):
        self.learned += 1
        return super().train_on(*data)

    def test_on(self, *data):
        self.scored += 1
        return super().test_on(*data)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["arrays", "tf.data"])
def test_a_step_is_traced_once(source, new_model, fit, two_classes, tf_dataset):
    """Under JAX once for every size of a batch, elsewhere for short last batches as well."""
    model = new_model(kind=Counting, run_eagerly=False, metrics=["accuracy"])

    def run(count):
        x, y = (array[:count] for array in two_classes)
        data = (x, y) if source == "arrays" else (tf_dataset(x, y), None)
        size = 20 if source == "arrays" else None
        validation = data if source == "arrays" else data[0]
        fit(model, *data, batch_size=size, epochs=2, validation_data=validation)
        model.evaluate(*data, batch_size=size, verbose=0)

    # TensorFlow would run through a step twice if it created variables.
    under_jax = keras.backend.backend() == "jax"
    run(30)  # batches of 20 and 10
    assert (model.learned, model.scored) == ((2, 2) if under_jax else (1, 1))
    for _ in range(2):
        run(27)  # batches of 20 and 7
        assert (model.learned, model.scored) == ((3, 3) if under_jax else (1, 1))


@pytest.mark.slow
def test_greedy_traces_a_layer_once(new_model, fit, two_classes):
    greedy = keras_ff.layer_schedules.Greedy(cache=False)
    model = new_model(
        kind=Counting, run_eagerly=False, model={"layer_schedule": greedy}, units=(8, 8)
    )
    batch = [array[:20] for array in two_classes]
    fit(model, *batch, epochs=2)
    traces = model.learned
    for _ in range(3):
        fit(model, *batch, epochs=8)
    assert model.learned == traces == 2
