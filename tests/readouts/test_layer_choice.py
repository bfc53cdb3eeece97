"""`Goodness("validation")`: the unbroken run of layers that scores best on validation data."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_ff
from keras_ff.layers import FFDense
from keras_ff.readouts import Goodness
from tests.helpers import activities_of, drawn

CLASSES = 4
SAMPLES = 24


def data(seed=1, samples=SAMPLES):
    return drawn((samples, 6), seed=seed), np.arange(samples) % CLASSES


def runs(layers):
    return [(first, end) for first in range(layers) for end in range(first + 1, layers + 1)]


def best_run(hits, layers):
    """Of equal hits the longest, and of equal lengths the last."""
    every = zip(hits, runs(layers), strict=True)
    order = [(count, end - first, first) for count, (first, end) in every]
    _, length, first = max(order)
    return first, first + length


def counting(first, end, layers):
    return [int(first <= index < end) for index in range(layers)]


class Given(Goodness):
    """Scores of every layer that are known: a table out of the samples' first feature."""

    def __init__(self, tables):
        super().__init__("validation")
        self.tables = [keras.ops.cast(table, "float32") for table in tables]

    def class_goodness(self, values_of, x, known=None):
        rows = keras.ops.cast(x[:, 0], "int32")
        return [keras.ops.take(table, rows, axis=0) for table in self.tables]


def given(tables, schedule="simultaneous"):
    """A model that scores by tables of shape (samples, classes), one a layer."""
    layers = [FFDense(4) for _ in tables]
    model = keras_ff.FFModel(layers, CLASSES, layer_schedule=schedule, readout=Given(tables))
    model.compile(keras.optimizers.SGD(0.0), metrics=["accuracy"], run_eagerly=True)
    return model


def rows(first=0):
    """Samples that name their row in the tables."""
    return np.arange(first, first + SAMPLES, dtype="float32")[:, None] * np.ones(3, "float32")


def model_of(layers=4, class_groups=False, schedule="simultaneous", eager=True, **settings):
    goodness = {"goodness": "class_groups"} if class_groups else {}
    parts = {"label_embedding": None, "negatives": None} if class_groups else {}
    made = [
        FFDense(8, kernel_initializer=keras.initializers.GlorotNormal(seed=k), **goodness)
        for k in range(layers)
    ]
    model = keras_ff.FFModel(
        made,
        CLASSES,
        layer_schedule=schedule,
        readout=Goodness("validation"),
        **{**parts, **settings},
    )
    model.compile(keras.optimizers.SGD(0.05), metrics=["accuracy"], run_eagerly=eager)
    return model


def choice(model):
    return [int(one) for one in keras.ops.convert_to_numpy(model.readout.layer_choice)]


def class_goodness(model, x):
    """Every layer's goodness of every class, pass by pass: shape (layers, samples, classes)."""
    if model.class_groups:
        return np.stack([np.array(g) for g in model.stack.goodness(activities_of(model, x))])
    passes = []
    for label in range(CLASSES):
        inputs = model.streams.embed(x, np.full(len(x), label, "int32"))
        passes.append([np.array(g) for g in model.stack.goodness(activities_of(model, inputs))])
    return np.stack(passes, axis=-1)


def hits_by_hand(goodness, y):
    return [
        int(np.sum(goodness[first:end].sum(0).argmax(1) == y)) for first, end in runs(len(goodness))
    ]


# --- the choice ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("class_groups", "batch_size"),
    [(False, 24), (False, 7), (True, 7)],
    ids=["contrastive", "short last batch", "class groups"],
)
def test_the_best_of_all_runs_is_chosen(class_groups, batch_size):
    """Compared with the accuracy of every run, in numpy, on layers as they ended."""
    model = model_of(class_groups=class_groups)
    x, y = data()
    valid = data(seed=2)
    model.fit(x, y, epochs=2, verbose=0, validation_data=valid, validation_batch_size=batch_size)
    goodness = class_goodness(model, valid[0])
    hits = hits_by_hand(goodness, valid[1])
    first, end = best_run(hits, 4)
    assert choice(model) == counting(first, end, 4)
    scores = model.predict(valid[0], verbose=0)
    np.testing.assert_allclose(scores, goodness[first:end].sum(0), rtol=1e-4, atol=1e-5)
    accuracy = model.evaluate(*valid, verbose=0, return_dict=True)["accuracy"]
    assert accuracy == pytest.approx(max(hits) / SAMPLES)


@pytest.mark.slow
@pytest.mark.parametrize("best", runs(4), ids=str)
def test_any_run_may_be_the_best(best):
    """Layers of the run know a part of the samples each, sure of it; those outside mislead."""
    first, end = best
    y = np.arange(SAMPLES) % CLASSES
    right, wrong = np.eye(CLASSES)[y], np.eye(CLASSES)[(y + 1) % CLASSES]
    tables = []
    for index in range(4):
        if first <= index < end:
            knows = np.arange(SAMPLES) % (end - first) == index - first
            tables.append(np.where(knows[:, None], 4 * right, wrong))
        else:
            tables.append(9 * wrong)
    model = given(tables)
    model.fit(rows(), y, verbose=0, validation_data=(rows(), y))
    assert choice(model) == counting(first, end, 4)
    assert model.evaluate(rows(), y, verbose=0, return_dict=True)["accuracy"] == 1.0


@pytest.mark.slow
def test_of_runs_that_are_equally_good_the_longest_is_chosen():
    y = np.arange(SAMPLES) % CLASSES
    right = np.eye(CLASSES)[y]
    model = given([right, 2 * right, right])
    model.fit(rows(), y, verbose=0, validation_data=(rows(), y))
    assert choice(model) == [1, 1, 1]


@pytest.mark.slow
def test_runs_are_unbroken():
    """The first and the last layer together would know all; no run without the middle does."""
    y = np.arange(SAMPLES) % CLASSES
    right, wrong = np.eye(CLASSES)[y], np.eye(CLASSES)[(y + 1) % CLASSES]
    half = (np.arange(SAMPLES) < SAMPLES // 2 + 2)[:, None]
    tables = [np.where(half, 3 * right, wrong), 9 * wrong, np.where(half, wrong, 3 * right)]
    model = given(tables)
    model.fit(rows(), y, verbose=0, validation_data=(rows(), y))
    assert choice(model) == [1, 0, 0]  # the half that is a little larger
    assert model.evaluate(rows(), y, verbose=0, return_dict=True)["accuracy"] == pytest.approx(
        14 / 24
    )


@pytest.mark.slow
def test_untrained_layers_never_count():
    """Under greedy training, whatever they would score."""
    y = np.arange(SAMPLES) % CLASSES
    right, wrong = np.eye(CLASSES)[y], np.eye(CLASSES)[(y + 1) % CLASSES]
    model = given([wrong, 3 * right, 9 * right], schedule="greedy")
    chosen = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: chosen.append(choice(model))
    )
    model.fit(rows(), y, epochs=3, verbose=0, validation_data=(rows(), y), callbacks=[note])
    # Of one layer there is one choice; of two the longer run, as long as it is as good.
    assert chosen == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    model = given([9 * wrong, 3 * right, 9 * right], schedule="greedy")
    chosen.clear()
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: chosen.append(choice(model))
    )
    model.fit(rows(), y, epochs=3, verbose=0, validation_data=(rows(), y), callbacks=[note])
    assert chosen[:2] == [[1, 0, 0], [0, 1, 0]]


def test_before_any_validation_all_layers_count():
    model = model_of(3)
    x, _ = data()
    model.build(x.shape)
    assert choice(model) == [1, 1, 1]
    expected = class_goodness(model, x).sum(0)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_chosen_anew_at_each_validation():
    """After each epoch, on that epoch's layers: nothing of an earlier count is left."""
    model = model_of(3)
    x, y = data()
    valid = data(seed=2)
    seen = []

    def compare(epoch, logs):
        hits = hits_by_hand(class_goodness(model, valid[0]), valid[1])
        seen.append((choice(model), counting(*best_run(hits, 3), 3), hits))

    callback = keras.callbacks.LambdaCallback(on_epoch_end=compare)
    model.fit(x, y, epochs=3, verbose=0, validation_data=valid, callbacks=[callback])
    assert [found for found, _, _ in seen] == [expected for _, expected, _ in seen]
    assert len({tuple(hits) for _, _, hits in seen}) > 1


@pytest.mark.slow
def test_compiled_with_a_stream_and_a_split():
    model = model_of(3, eager=False)
    x, y = data()
    valid = data(seed=2)
    stream = tf.data.Dataset.from_tensor_slices(valid).batch(7)
    model.fit(x, y, epochs=2, verbose=0, validation_data=stream)
    hits = hits_by_hand(class_goodness(model, valid[0]), valid[1])
    assert choice(model) == counting(*best_run(hits, 3), 3)
    model.fit(x, y, verbose=0, validation_split=0.25, shuffle=False)
    hits = hits_by_hand(class_goodness(model, x[18:]), y[18:])
    assert choice(model) == counting(*best_run(hits, 3), 3)


# --- and what leaves it alone --------------------------------------------------------------------


def other_data():
    """Samples on which another run would be best."""
    y = np.arange(SAMPLES) % CLASSES
    right, wrong = np.eye(CLASSES)[y], np.eye(CLASSES)[(y + 1) % CLASSES]
    tables = [
        np.concatenate([right, 9 * wrong]),
        np.concatenate([9 * wrong, right]),
    ]
    return given(tables), (rows(), y), (rows(SAMPLES), y)


@pytest.mark.slow
def test_evaluate_on_other_data_does_not_choose():
    """Neither after `fit`, nor from a callback within it, nor by counting into the next choice."""
    model, valid, test = other_data()
    model.fit(*valid, verbose=0, validation_data=valid)
    assert choice(model) == [1, 0]
    assert model.evaluate(*test, verbose=0, return_dict=True)["accuracy"] == 0.0
    model.test_on_batch(*test)
    model.predict(test[0], verbose=0)
    assert choice(model) == [1, 0]

    def evaluate(epoch, logs):
        for _ in range(3):
            model.evaluate(*test, verbose=0)

    callback = keras.callbacks.LambdaCallback(on_epoch_end=evaluate, on_epoch_begin=evaluate)
    model.fit(*valid, epochs=2, verbose=0, validation_data=valid, callbacks=[callback])
    assert choice(model) == [1, 0]
    model.fit(*valid, verbose=0, validation_data=test)
    assert choice(model) == [0, 1]


@pytest.mark.slow
def test_evaluate_leaves_every_weight_as_it_was():
    model, valid, test = other_data()
    model.fit(*valid, verbose=0, validation_data=valid)
    before = model.get_weights()
    model.evaluate(*test, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_training_data_do_not_choose():
    model, valid, test = other_data()
    model.fit(*test, verbose=0, validation_data=valid)
    assert choice(model) == [1, 0]


@pytest.mark.slow
def test_an_epoch_without_validation_keeps_the_choice():
    model, valid, _ = other_data()
    chosen = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: chosen.append(choice(model))
    )
    model.fit(
        *valid, epochs=3, verbose=0, validation_data=valid, validation_freq=2, callbacks=[note]
    )
    assert chosen == [[1, 1], [1, 0], [1, 0]]


@pytest.mark.slow
def test_fit_needs_validation_data():
    model = model_of(2)
    x, y = data()
    for arguments in ({}, {"validation_split": 0.0}):
        with pytest.raises(ValueError, match=r"validation_data=.*Received: validation_data=None"):
            model.fit(x, y, verbose=0, **arguments)
    model.train_on_batch(x, y)  # a loop of one's own scores by all layers
    assert choice(model) == [1, 1]


# --- configuration -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_choice_is_saved_and_loaded(tmp_path):
    model = model_of(4)
    x, y = data()
    valid = data(seed=2)
    model.fit(x, y, verbose=0, validation_data=valid)
    model.readout.layer_choice.assign([0, 1, 1, 0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.readout.chooses
    assert choice(loaded) == [0, 1, 1, 0]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    other = model_of(4)
    other.build(x.shape)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert choice(other) == [0, 1, 1, 0]
    loaded.fit(x, y, verbose=0, validation_data=valid)
    hits = hits_by_hand(class_goodness(loaded, valid[0]), valid[1])
    assert choice(loaded) == counting(*best_run(hits, 4), 4)


def test_its_weights_do_not_learn_and_others_have_no_choice():
    model = model_of(3)
    model.build((None, 6))
    trainable = {id(weight) for weight in model.trainable_weights}
    assert (
        id(model.readout.layer_choice) not in trainable
        and id(model.readout.layer_hits.hits) not in trainable
    )
    assert model.readout.layer_hits.hits.shape == (6,)
    plain = keras_ff.FFModel([FFDense(4)], CLASSES, readout=Goodness("all"))
    plain.build((None, 6))
    assert [weight.name for weight in plain.readout.weights] == ["temperature"]


def test_round_trip():
    readout = Goodness("validation")
    assert readout.chooses and not Goodness("all").chooses
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(readout))
    assert again.get_config() == readout.get_config() and again.layers == "validation"
    with pytest.raises(ValueError, match="'all' or a list"):
        Goodness("validations")
