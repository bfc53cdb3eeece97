"""Windows: overlapping runs of epochs."""

import itertools

import pytest

from keras_ff.layer_schedules import Greedy, Windows
from tests.helpers.schedules import course, windows


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


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.5, 0.999, 1e-7])
@pytest.mark.parametrize("layers", [1, 2, 5, 12])
@pytest.mark.parametrize("epochs", [1, 3, 7, 60])
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
    with pytest.raises(ValueError, match=rf"{layers} here\. Received: 2 windows"):
        schedule.learning_layers(0, 9, layers)
