"""What layer schedules have in common, and how `fit` goes by them."""

import warnings

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import layer_schedules
from keras_ff.layer_schedules import Greedy, Simultaneous, Windows
from keras_ff.layers import FFDense
from keras_ff.models import stages
from tests.helpers.schedules import course


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("epochs", [1, 2, 7, 12])
@pytest.mark.parametrize("name", layer_schedules.KNOWN)
def test_every_schedule_is_a_pure_function(name, epochs, layers):
    schedule = layer_schedules.get(name)
    forwards = course(schedule, epochs, layers)
    backwards = [
        schedule.learning_layers(epoch, epochs, layers) for epoch in reversed(range(epochs))
    ]
    assert forwards == backwards[::-1] == course(layer_schedules.get(name), epochs, layers)
    for indices in forwards:
        assert isinstance(indices, tuple)
        assert indices == tuple(sorted(set(indices)))
        assert indices[0] >= 0
        assert indices[-1] < layers
    if epochs >= layers:
        assert set().union(*forwards) == set(range(layers))


@pytest.mark.parametrize(
    ("schedule", "epochs", "layers", "reached"),
    [
        (Greedy(1), 1, 5, 1),
        (Greedy([2, 1]), 2, 2, 1),
        (Greedy(3), 6, 3, 2),
        (Windows([(0, 2), (1, 4), (3, 6)]), 3, 3, 2),
        (Windows([(0, 2), (1, 4), (3, 6)]), 1, 3, 1),
    ],
    ids=repr,
)
def test_a_warning_where_layers_stay_untrained(schedule, epochs, layers, reached):
    expected = rf"over {epochs} epochs reaches layer {reached} of {layers}"
    with pytest.warns(UserWarning, match=expected):
        stages.check(schedule, epochs, [FFDense(2) for _ in range(layers)])


@pytest.mark.parametrize(
    ("schedule", "epochs"),
    [
        (Greedy(), 1),
        (Greedy(), 2),
        (Greedy(), 10),
        (Greedy(1), 3),
        (Greedy(3), 7),
        (Simultaneous(), 1),
        (Windows(), 1),
        (Windows(), 7),
        (Windows([(0, 2), (1, 4), (3, 6)]), 4),
        (Windows([(0, 2), (1, 4), (3, 6)]), 9),
    ],
    ids=repr,
)
def test_no_warning_where_all_are_reached(schedule, epochs):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        stages.check(schedule, epochs, [FFDense(2) for _ in range(3)])
    assert caught == []


def test_frozen_layers_take_no_epochs_and_raise_no_warning(recwarn):
    frozen = FFDense(2)
    frozen.trainable = False
    stages.check(Greedy(5), 10, [frozen, FFDense(2), FFDense(2)])
    assert not recwarn.list
    with pytest.warns(UserWarning, match="over 5 epochs reaches layer 2 of 3"):
        stages.check(Greedy(5), 5, [frozen, FFDense(2), FFDense(2)])


@pytest.mark.parametrize("entries", [[1, 2], [1, 2, 3, 4]])
def test_a_list_must_hold_an_entry_a_layer(entries):
    with pytest.raises(ValueError, match=rf"3 here.*Received: {len(entries)} numbers"):
        Greedy(entries).learning_layers(0, 9, 3)


def fitted(schedule, epochs, layers=3, **arguments):
    """Indices of the layers whose weights moved in each epoch of a `fit`, history, model."""
    model = keras_ff.FFModel([FFDense(4) for _ in range(layers)], 2, layer_schedule=schedule)
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    model.build((None, 3))
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(8, 3)).astype("float32"), np.arange(8) % 2
    seen = [[layer.get_weights() for layer in model.ff_layers]]
    moved = []

    def look(epoch, logs):
        now = [layer.get_weights() for layer in model.ff_layers]
        moved.append(
            tuple(
                index
                for index, (old, new) in enumerate(zip(seen[-1], now, strict=True))
                if not all(map(np.array_equal, old, new))
            )
        )
        seen.append(now)

    callback = keras.callbacks.LambdaCallback(on_epoch_end=look)
    history = model.fit(x, y, epochs=epochs, verbose=0, callbacks=[callback], **arguments)
    return moved, history, model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "epochs"),
    [
        (Greedy(), 5),
        (Greedy([1, 2, 1]), 4),
        (Simultaneous(), 2),
        (Windows(), 4),
        (Windows([(0, 2), (1, 3), (1, 2)]), 4),
    ],
    ids=repr,
)
def test_fit_runs_its_epochs_and_moves_the_layers_of_the_schedule(schedule, epochs):
    moved, history, model = fitted(schedule, epochs)
    assert history.epoch == list(range(epochs))
    assert moved == course(schedule, epochs, 3)
    assert int(model.layers_trained) == 3


@pytest.mark.slow
def test_fit_goes_on_where_it_stood():
    with pytest.warns(UserWarning, match="reaches layer 2 of 3"):
        moved, history, model = fitted(Greedy(2), 3)
    assert moved == [(0,), (0,), (1,)]
    assert int(model.layers_trained) == 2
    moved, history, model = fitted(Greedy(), 6, initial_epoch=3)
    assert history.epoch == [3, 4, 5]
    assert moved == [(1,), (2,), (2,)]


@pytest.mark.slow
def test_fit_warns_where_layers_stay_untrained():
    with pytest.warns(UserWarning, match="over 1 epochs reaches layer 1 of 3"):
        moved, _, model = fitted(Greedy(1), 1)
    assert moved == [(0,)]
    assert int(model.layers_trained) == 1


@pytest.mark.parametrize("name", layer_schedules.KNOWN)
def test_get(name):
    schedule = layer_schedules.get(name)
    assert type(schedule) is layer_schedules.KNOWN[name]
    assert layer_schedules.get(schedule) is schedule


@pytest.mark.parametrize(
    "schedule",
    [part() for part in layer_schedules.KNOWN.values()]
    + [Greedy(2), Greedy([1, 3, 2]), Windows([(0, 3), (2, 5), (4, 9)]), Windows(overlap=0.25)],
    ids=repr,
)
def test_round_trip(schedule):
    serialised = keras.saving.serialize_keras_object(schedule)
    for copy in (
        type(schedule).from_config(schedule.get_config()),
        keras.saving.deserialize_keras_object(serialised),
        layer_schedules.get(serialised),
    ):
        assert type(copy) is type(schedule)
        assert copy == schedule
        assert course(copy, 9, 3) == course(schedule, 9, 3)


def test_schedules_that_differ_are_not_equal():
    assert Greedy(2) != Greedy(3)
    assert Greedy() != Simultaneous()
    assert Windows() != Windows(overlap=0.25)
    assert Windows([(0, 2)]) != Windows([(0, 3)])


def test_a_callers_list_stays_the_callers():
    entries = [1, 2]
    schedule = Greedy(entries)
    entries[0] = 9
    schedule.get_config()["epochs_per_layer"][1] = 9
    assert schedule.epochs_per_layer == [1, 2]
    pairs = [[0, 2], [1, 3]]
    schedule = Windows(pairs)
    pairs[0][1] = 9
    schedule.get_config()["windows"][1][1] = 9
    assert schedule.get_config()["windows"] == [[0, 2], [1, 3]]
