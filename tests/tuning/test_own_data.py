"""Searches on data of one's own: shape and classes are those of what `search` is given."""

import keras
import keras_tuner
import numpy as np
import pytest

import keras_ff
from keras_ff import tuning
from keras_ff.tuning import FFHyperModel, own_data
from tests.helpers.tuning import base

pytestmark = pytest.mark.usefixtures("eager_functions")

Y = np.arange(50) % 3
X = np.random.default_rng(0).normal(size=(50, 3, 4)).astype("float32")
X += 5 * np.eye(3, 4)[Y][:, np.newaxis].astype("float32")
SETTINGS = {"units": (16,), "batch_size": 16, "epochs": 6, "learning_rate": 0.03}


class Batches(keras.utils.PyDataset):
    def __init__(self, count):
        super().__init__()
        self.count = count

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, index):
        rows = slice(10 * (index % 5), 10 * (index % 5) + 10)
        return X[rows], Y[rows]


def stream(*batches, **options):
    import tensorflow as tf

    found = tf.data.Dataset.from_tensor_slices(batches).batch(10)
    return found.repeat() if options.get("endless") else found


def of_unknown_length():
    return stream(X, Y).filter(lambda *batch: True)


@pytest.mark.parametrize(
    ("arguments", "classes", "steps"),
    [
        ({"x": X, "y": Y}, 3, 4),
        ({"x": X, "y": Y, "validation_split": 0.5}, 3, 2),
        ({"x": X, "y": Y.reshape(-1, 1).astype("float64")}, 3, 4),
        ({"x": X, "y": np.eye(5)[Y]}, 5, 4),
        ({"x": X, "y": Y, "validation_data": (X, Y + 2)}, 5, 4),
        ({"x": X, "y": Y, "validation_data": (X, Y + 1, np.ones(50))}, 4, 4),
        ({"x": X, "y": Y, "validation_data": lambda: stream(X, Y + 3)}, 6, 4),
        ({"x": X, "y": Y, "num_classes": 9}, 9, 4),
        ({"x": lambda: stream(X, Y)}, 3, 5),
        ({"x": lambda: stream(X, np.eye(4)[Y])}, 4, 5),
        ({"x": of_unknown_length}, 3, 5),
        ({"x": lambda: stream(X, Y, endless=True), "steps_per_epoch": 7, "num_classes": 3}, 3, 7),
        ({"x": Batches(5)}, 3, 5),
        ({"x": Batches(5), "validation_data": Batches(2)}, 3, 5),
        ({"x": Batches(5), "steps_per_epoch": 2}, 3, 2),
        ({"x": X, "num_classes": 3}, 3, 4),  # learns without labels
    ],
)
def test_data_tell_shape_classes_and_steps(arguments, classes, steps):
    made = {name: value() if callable(value) else value for name, value in arguments.items()}
    found = own_data.given(**made)
    assert found.sample_shape == (3, 4)
    assert (found.num_classes, found.steps(16)) == (classes, steps)
    np.testing.assert_array_equal(found.first[0][:10], X[:10])


def test_frames():
    pandas = pytest.importorskip("pandas")
    found = own_data.given(pandas.DataFrame(X[:, 0]), pandas.Series(Y))
    assert (found.sample_shape, found.num_classes, found.steps(20)) == ((4,), 3, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"x": lambda: ((X, Y) for _ in range(3))}, "these must last: arrays"),
        ({"x": lambda: stream(X, Y, endless=True)}, "pass `steps_per_epoch`"),
        ({"x": lambda: stream(X, Y, endless=True), "steps_per_epoch": 3}, r"\(num_classes=...\)"),
        ({"x": Batches(None)}, "pass `steps_per_epoch`"),
        ({"x": X}, r"give labels, or `FFHyperModel\(num_classes=...\)`"),
        ({"x": X, "y": np.zeros(50)}, "Received: labels of 1 class"),
        ({"x": X, "y": np.array(["ant", "bee"] * 25)}, "Labels must be numbers"),
    ],
)
def test_data_that_do_not_tell_are_refused(arguments, sentence):
    made = {name: value() if callable(value) else value for name, value in arguments.items()}
    with pytest.raises(ValueError, match=sentence):
        own_data.given(**made)


@pytest.mark.slow
def test_a_trial_learns_from_the_data_that_are_given(monkeypatch):
    """By the configuration's batch size, and with fewer negatives for fewer classes."""
    hyper_model, hp = FFHyperModel(base(**SETTINGS), ["threshold"]), keras_tuner.HyperParameters()
    fitted = []
    fit = keras_ff.FFModel.fit
    monkeypatch.setattr(
        "keras_ff.FFModel.fit",
        lambda model, *data, **given: fitted.append((model, given)) or fit(model, *data, **given),
    )
    found = hyper_model.fit(hp, hyper_model.build(hp), X, Y, validation_data=(X, Y), verbose=0)
    ((model, given),) = fitted
    assert (model.sample_shape, model.num_classes) == ((3, 4), 3)
    assert model.negatives.count == hyper_model.config(hp).negatives_count == 2
    assert (given["batch_size"], given["epochs"]) == (16, 6)
    assert found["val_accuracy"] > 0.1
    # What builds the model again stands in the trial.
    other = FFHyperModel(base(**SETTINGS), ["threshold"]).build(hp)
    assert (other.sample_shape, other.num_classes) == ((3, 4), 3)
    for one, same in zip(other.weights, model.weights, strict=True):
        assert one.shape == same.shape
    # And of other data there is no going on.
    for x, y in ((X[:, 0], Y), (X, Y + 1)):
        with pytest.raises(keras_tuner.errors.FatalValueError, match=r"is one of samples of shape"):
            hyper_model.fit(hp, other, x, y, validation_data=(x, y), verbose=0)


@pytest.mark.slow
def test_what_cannot_be_searched_on_ends_the_search(tmp_path):
    """Not as three trials that failed."""
    hyper_model = FFHyperModel(base(**SETTINGS), ["threshold"])
    tuner = keras_tuner.RandomSearch(hyper_model, "val_accuracy", 3, directory=tmp_path)
    with pytest.raises(ValueError, match="these must last"):
        tuner.search((batch for batch in [(X, Y)]), verbose=0)


@pytest.mark.slow
def test_calibrated_thresholds_are_those_of_the_data():
    hyper_model = FFHyperModel(base(**SETTINGS), {"threshold_rule": ["calibrated"]})
    hp = keras_tuner.HyperParameters()
    hyper_model.fit(hp, hyper_model.build(hp), 100 * X, Y, validation_data=(X, Y), verbose=0)
    assert hyper_model.config(hp).threshold[0] > 0
    with pytest.raises(ValueError, match="call `search` with them first"):
        FFHyperModel(base(**SETTINGS), {"threshold_rule": ["calibrated"]}).build(hp)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["random", "hyperband"])
def test_a_search_is_taken_up_again(kind, tmp_path):
    """By another program, which builds the best model before it knows the data."""
    made = {
        "random": (keras_tuner.RandomSearch, {"max_trials": 3}),
        "hyperband": (keras_tuner.Hyperband, {"max_epochs": 6, "factor": 2}),
    }[kind]

    def tuner():
        hyper_model = FFHyperModel(base(**SETTINGS), {"activation": ["relu", "tanh", "elu"]})
        kept = {"directory": tmp_path, "seed": 0}
        return made[0](hyper_model, "val_accuracy", **made[1], **kept), hyper_model

    (first, hyper_model) = tuner()
    first.search(X, Y, validation_split=0.2, verbose=0)
    found = tuning.results(first, hyper_model)
    assert len(found) >= 3 and not any(one.failed for one in found)
    assert "num_classes" not in found[0].values
    if kind == "random":  # no choice stands twice
        assert len({one.values["activation"] for one in found}) == len(found)
    assert found[0].score > 0.6
    assert first.get_best_models()[0].predict(X, verbose=0).shape == (50, 3)
    again, _ = tuner()
    one, same = (  # that of a trial by name, since trials may have equal scores
        kept.load_model(kept.oracle.get_trial(found[0].trial)).predict(X, verbose=0)
        for kept in (first, again)
    )
    np.testing.assert_allclose(one, same, rtol=1e-5)
