"""Compiled metrics see probabilities, by one temperature that is fitted."""

import functools

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff.layers import FFDense
from keras_ff.readouts.temperature import TEMPERATURES, TemperatureFit

random = np.random.default_rng(0)
CENTERS = random.normal(size=(3, 12))


def drawn(count, spread):
    y = random.integers(0, 3, count)
    return (CENTERS[y] + spread * random.normal(size=(count, 12))).astype("float32"), y


DATA, VALIDATION, TEST = (drawn(count, 1.5) for count in (300, 300, 2000))


def made(metrics=("accuracy",), eager=False, **options):
    model = keras_ff.FFModel([FFDense(16), FFDense(16)], 3, **options)
    model.compile(keras.optimizers.Adam(1e-2), metrics=list(metrics), run_eagerly=eager)
    return model


def cross_entropy(model, data):
    x, y = data
    return -np.log(model.predict_proba(x, verbose=0)[np.arange(len(y)), y]).mean()


def softmax(scores):
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 7.0, 900.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    scores = (2.0 * temperature * random.normal(size=(20000, 4))).astype("float32")
    chances = softmax(scores / temperature).cumsum(axis=1)
    labels = (random.random((20000, 1)) > chances).sum(axis=1)
    fit = TemperatureFit()
    for part in np.split(np.arange(20000), 4):
        fit.update_state(scores[part], labels[part])
    assert fit.best(4) == pytest.approx(temperature, rel=0.05)
    fit.reset_state()
    assert fit.best(4) is None


def test_sample_weights_count():
    scores = np.array([[4.0, 0.0], [4.0, 0.0]], "float32")
    right, half = TemperatureFit(), TemperatureFit()
    right.update_state(scores, np.array([0, 1]), np.array([1.0, 0.0], "float32"))
    half.update_state(scores, np.array([0, 1]), np.array([1.0, 1.0], "float32"))
    # One sample that is right, and one of each class besides: 2 to 1 is e^(4 / T).
    assert right.best(2) == pytest.approx(4 / np.log(2.0), rel=0.1)
    assert half.best(2) > 1000  # of no use


def test_scores_that_are_not_finite_choose_nothing():
    fit = TemperatureFit()
    fit.update_state(np.array([[np.nan, 0.0]], "float32"), np.array([0]))
    assert fit.best(2) is None


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"readout": "softmax"},
        {"readout": keras_ff.readouts.Goodness("validation"), "layer_schedule": "simultaneous"},
    ],
    ids=str,
)
@pytest.mark.slow
def test_probabilities_are_calibrated(options):
    model = made(**options)
    model.fit(*DATA, epochs=30, validation_data=VALIDATION, verbose=0)
    x, y = TEST
    probabilities, scores = model.predict_proba(x, verbose=0), model.predict(x, verbose=0)
    temperature = float(model.readout.temperature)
    np.testing.assert_allclose(probabilities, softmax(scores / temperature), rtol=1e-4, atol=1e-6)
    best = min(
        -np.log(softmax(scores / each)[np.arange(len(y)), y]).mean() for each in TEMPERATURES
    )
    assert cross_entropy(model, TEST) < 1.05 * best + 0.01
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == y
    assert sure.mean() == pytest.approx(right.mean(), abs=0.06)


@pytest.mark.slow
def test_metrics_see_probabilities():
    """AUC and the like, logged and of `evaluate`, are those of `predict_proba`."""
    x, y = DATA
    one_hot = np.eye(3)[y].astype("float32")
    names = ["AUC", "categorical_crossentropy", keras.metrics.Precision(), "accuracy"]
    model = made(names, eager=True, layer_schedule="simultaneous")
    model.fit(x, one_hot, epochs=4, batch_size=100, verbose=0)
    values = model.evaluate(x, one_hot, verbose=0, return_dict=True)
    probabilities = model.predict_proba(x, verbose=0)
    for metric, name in (
        (keras.metrics.AUC(), "AUC"),
        (keras.metrics.CategoricalCrossentropy(), "categorical_crossentropy"),
        (keras.metrics.Precision(), "precision"),
    ):
        metric.update_state(one_hot, probabilities)
        assert values[name] == pytest.approx(float(metric.result()), rel=1e-3)
    assert values["AUC"] > 0.85
    assert values["accuracy"] == pytest.approx(np.mean(probabilities.argmax(axis=1) == y))


@pytest.mark.slow
def test_without_validation_data_training_samples_choose():
    how = {"epochs": 2, "batch_size": 100, "verbose": 0}
    model = made(eager=True)
    model.fit(*DATA, **how)
    chosen = float(model.readout.temperature)
    assert chosen != 1.0 and cross_entropy(model, DATA) < np.log(3.0)
    model.evaluate(*TEST, batch_size=500, verbose=0)
    assert float(model.readout.temperature) == chosen  # `evaluate` changes nothing
    silent = made((), eager=True)
    silent.fit(*DATA, **how)
    assert float(silent.readout.temperature) == 1.0


def test_the_temperature_is_a_weight(tmp_path):
    """So saved, restored with the best epoch's weights, and in presets."""
    model = made()
    model.build((None, 12))
    model.readout.temperature.assign(5.0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert float(loaded.readout.temperature) == 5.0
    model.save_to_preset(tmp_path / "preset")
    assert float(made().from_preset(tmp_path / "preset").readout.temperature) == 5.0
    other = made()
    other.build((None, 12))
    other.set_weights(model.get_weights())
    assert float(other.readout.temperature) == 5.0


@pytest.mark.parametrize(
    "metric",
    [
        keras.metrics.SparseCategoricalCrossentropy(from_logits=True),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        functools.partial(keras.metrics.categorical_crossentropy, from_logits=True),
    ],
    ids=["metric", "loss", "function"],
)
def test_metrics_of_logits_are_refused(metric):
    with pytest.raises(ValueError, match=r"probabilities.*leave `from_logits` out"):
        made([metric])
    with pytest.raises(ValueError, match="leave `from_logits` out"):
        keras_ff.FFModel([FFDense(16)], 3).compile(weighted_metrics={"name": [metric]})


@pytest.mark.slow
def test_metrics_of_older_files_take_probabilities_from_now_on(tmp_path):
    """They took scores for logits, which they were given before."""
    entropy = keras.metrics.SparseCategoricalCrossentropy(name="entropy")
    layer = FFDense(18, goodness="class_groups")
    model = keras_ff.FFModel([layer], 3, label_embedding=None, negatives=None)
    model.compile("adam", metrics=[entropy])
    config = model.get_compile_config()
    for metric in config["metrics"]:
        metric["config"]["from_logits"] = True
    model.compile_from_config(config)
    model.build((None, 12))
    logs = model.evaluate(*TEST, verbose=0, return_dict=True)
    assert logs["entropy"] == pytest.approx(cross_entropy(model, TEST), rel=1e-3)
    assert model.get_compile_config()["loss"] == config["loss"]


@pytest.mark.slow
def test_an_ensemble_has_probabilities():
    members = [made(), made()]
    for member in members:
        member.fit(*DATA, epochs=2, verbose=0)
    ensemble = keras_ff.models.FFEnsemble(members, shares=[3, 1])
    ensemble.compile(metrics=["sparse_categorical_crossentropy"])
    x, y = TEST
    probabilities = ensemble.predict_proba(x, verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    assert (probabilities.argmax(axis=1) == ensemble.predict(x, verbose=0).argmax(axis=1)).all()
    values = ensemble.evaluate(x, y, verbose=0, return_dict=True)
    expected = cross_entropy(ensemble, TEST)
    assert values["sparse_categorical_crossentropy"] == pytest.approx(expected, rel=1e-3)
