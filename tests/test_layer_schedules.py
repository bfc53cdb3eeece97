"""Layer schedules: which layer learns in which epoch, as pure functions and in `fit`."""

import itertools
import warnings

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import layer_schedules
from keras_ff.layer_schedules import Greedy, Simultaneous, Windows
from keras_ff.layers import FFDense


def course(schedule, epochs, layers):
    return [schedule.learning_layers(epoch, epochs, layers) for epoch in range(epochs)]


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 7, 12, 60])
def test_greedy_divides_epochs_evenly(epochs, layers):
    learning = course(Greedy(), epochs, layers)
    assert all(len(indices) == 1 for indices in learning)
    learning = [indices[0] for indices in learning]
    assert learning == sorted(learning)
    counts = np.bincount(learning, minlength=layers)
    assert counts.sum() == epochs
    if epochs >= layers:
        assert counts.min() >= 1
        assert counts.max() - counts.min() <= 1
    else:
        assert learning == list(range(epochs))


@pytest.mark.parametrize(
    ("epochs_per_layer", "expected"),
    [
        (1, [0, 1, 2, 2, 2, 2, 2, 2]),
        (2, [0, 0, 1, 1, 2, 2, 2, 2]),
        (5, [0, 0, 0, 0, 0, 1, 1, 1]),
        ([1, 3, 2], [0, 1, 1, 1, 2, 2, 2, 2]),
        ([4, 1, 1], [0, 0, 0, 0, 1, 2, 2, 2]),
        ((2, 2, 4), [0, 0, 1, 1, 2, 2, 2, 2]),
        ([8, 1, 1], [0] * 8),
    ],
    ids=str,
)
def test_greedy_as_told(epochs_per_layer, expected):
    learning = course(Greedy(epochs_per_layer), 8, 3)
    assert learning == [(index,) for index in expected]


@pytest.mark.parametrize("epochs_per_layer", [2, [1, 3, 2]], ids=str)
def test_greedy_as_told_does_not_depend_on_the_epochs_of_fit(epochs_per_layer):
    schedule = Greedy(epochs_per_layer)
    assert course(schedule, 3, 3) == course(schedule, 20, 3)[:3]


@pytest.mark.parametrize("layers", [1, 4])
def test_simultaneous(layers):
    assert course(Simultaneous(), 3, layers) == [tuple(range(layers))] * 3


def windows(schedule, epochs, layers):
    """First epoch and end of each layer, as a schedule runs; every window is in one piece."""
    learning = course(schedule, epochs, layers)
    pairs = []
    for layer in range(layers):
        own = [epoch for epoch in range(epochs) if layer in learning[epoch]]
        assert own == list(range(own[0], own[-1] + 1))
        pairs.append((own[0], own[-1] + 1))
    return pairs


@pytest.mark.parametrize(
    ("overlap", "epochs", "expected"),
    [
        (0.5, 8, [(0, 4), (2, 6), (4, 8)]),
        (0.5, 80, [(0, 40), (20, 60), (40, 80)]),
        (0.5, 6, [(0, 4), (2, 6)]),
        (0.75, 12, [(0, 8), (2, 10), (4, 12)]),
        # Whole epochs although no float is one tenth or one third.
        (1 / 3, 60, [(0, 36), (24, 60)]),
        (0.1, 28, [(0, 10), (9, 19), (18, 28)]),
        (0.9, 24, [(0, 20), (2, 22), (4, 24)]),
        (0.0, 9, [(0, 3), (3, 6), (6, 9)]),
        (0.5, 30, [(0, 30)]),
        # 10 / 2 = 5 long, from 0, 2.5 and 5.
        (0.5, 10, [(0, 5), (3, 8), (5, 10)]),
        # Fewer epochs than layers: the later layers together in the last.
        (0.5, 1, [(0, 1)] * 5),
        (0.5, 2, [(0, 1), (1, 2), (1, 2), (1, 2), (1, 2)]),
        (0.5, 3, [(0, 1), (1, 2), (1, 2), (2, 3), (2, 3)]),
    ],
    ids=str,
)
def test_windows_spread_evenly(overlap, epochs, expected):
    assert windows(Windows(overlap=overlap), epochs, len(expected)) == expected


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.3, 0.5, 1 / 3, 0.9, 0.999, 1e-7])
@pytest.mark.parametrize("layers", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 7, 12, 60])
def test_windows_leave_no_epoch_and_no_layer_out(overlap, layers, epochs):
    schedule = Windows(overlap=overlap)
    assert all(course(schedule, epochs, layers))
    pairs = windows(schedule, epochs, layers)
    assert pairs[0][0] == 0
    assert pairs[-1][1] == epochs
    assert pairs == sorted(pairs)
    if epochs >= layers:
        length = epochs / (1 + (layers - 1) * (1 - overlap))
        assert all(abs(end - first - length) < 1 for first, end in pairs)
        for (_, end), (next_first, _) in itertools.pairwise(pairs):
            assert abs(end - next_first - overlap * length) < 1


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
@pytest.mark.parametrize("epochs", [5, 7, 12, 60])
def test_windows_without_overlap_are_greedy(epochs, layers):
    assert course(Windows(overlap=0), epochs, layers) == course(Greedy(), epochs, layers)


def test_windows_as_told():
    schedule = Windows([(0, 3), [1, 4], (4, 6)])
    expected = [(0,), (0, 1), (0, 1), (1,), (2,), (2,), (2,), (2,)]
    # Beyond the last window the last layer goes on; the epochs of `fit` change nothing.
    assert course(schedule, 8, 3) == expected
    assert course(schedule, 5, 3) == expected[:5]
    # Also where the last layer's window ends first.
    assert course(Windows([(0, 4), (1, 2)]), 6, 2) == [(0,), (0, 1), (0,), (0,), (1,), (1,)]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(1, 3)], "epochs from 0 to 0"),
        ([(0, 2), (4, 6)], "epochs from 2 to 3"),
        ([(0, 5), (1, 2), (6, 7)], "epochs from 5 to 5"),
        ([(0, 4), (2, 6), (1, 8)], "layer 3 cannot start in epoch 1, before layer 2"),
        ([], "pair of integers"),
        ([(0, 0)], "pair of integers"),
        ([(-1, 2)], "pair of integers"),
        ([(3, 1)], "pair of integers"),
        ([(0, 1.5)], "pair of integers"),
        ([(0, 1, 2)], "pair of integers"),
        ([0, 4], "pair of integers"),
        (["ab"], "pair of integers"),
        ([(0, True)], "pair of integers"),
        ([(0, None)], "pair of integers"),
        (7, "pair of integers"),
    ],
    ids=str,
)
def test_windows_that_cannot_be(pairs, expected):
    with pytest.raises(ValueError, match=rf"{expected}.*Received: windows=") as error:
        Windows(pairs)
    assert repr(pairs) in str(error.value)


@pytest.mark.parametrize("overlap", [1, 1.5, -0.1, None, "half"])
def test_overlap_is_a_share(overlap):
    with pytest.raises(ValueError, match=rf"`overlap`.*Received: overlap={overlap!r}"):
        Windows(overlap=overlap)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_window_a_layer(layers):
    schedule = Windows([(0, 2), (1, 4)])
    for ask in (schedule.check, lambda *numbers: schedule.learning_layers(0, *numbers)):
        with pytest.raises(ValueError, match=rf"{layers} here\. Received: 2 windows"):
            ask(9, layers)


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


# --- warnings and errors -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "epochs", "layers", "reached"),
    [
        (Greedy(), 2, 3, 2),
        (Greedy(), 1, 5, 1),
        (Greedy([2, 1]), 2, 2, 1),
        (Greedy(3), 6, 3, 2),
        (Windows([(0, 2), (1, 4), (3, 6)]), 3, 3, 2),
        (Windows([(0, 2), (1, 4), (3, 6)]), 1, 3, 1),
    ],
    ids=repr,
)
def test_a_warning_where_layers_stay_untrained(schedule, epochs, layers, reached):
    expected = rf"over {epochs} epochs reach(es)? layer {reached} of {layers}"
    with pytest.warns(UserWarning, match=expected):
        schedule.check(epochs, layers)


@pytest.mark.parametrize(
    ("schedule", "epochs"),
    [
        (Greedy(), 3),
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
        schedule.check(epochs, 3)
    assert caught == []


@pytest.mark.parametrize("entries", [[1, 2], [1, 2, 3, 4]])
def test_a_list_must_hold_an_entry_a_layer(entries):
    with pytest.raises(ValueError, match=rf"3 here.*Received: {len(entries)} numbers"):
        Greedy(entries).check(9, 3)
    with pytest.raises(ValueError, match=rf"3 here.*Received: {len(entries)} numbers"):
        Greedy(entries).learning_layers(0, 9, 3)


# --- in fit ------------------------------------------------------------------------------------


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


def test_fit_goes_on_where_it_stood():
    with pytest.warns(UserWarning, match="reaches layer 2 of 3"):
        moved, history, model = fitted(Greedy(2), 3)
    assert moved == [(0,), (0,), (1,)]
    assert int(model.layers_trained) == 2
    moved, history, model = fitted(Greedy(), 6, initial_epoch=3)
    assert history.epoch == [3, 4, 5]
    assert moved == [(1,), (2,), (2,)]


def test_fit_warns_where_layers_stay_untrained():
    with pytest.warns(UserWarning, match="over 1 epochs reaches layer 1 of 3"):
        moved, _, model = fitted("greedy", 1)
    assert moved == [(0,)]
    assert int(model.layers_trained) == 1


# --- configuration -----------------------------------------------------------------------------


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
