"""Timing: functions that take turns in one process, and the median of each."""

import statistics
import time


def medians(sides, rounds=9, warmups=8):
    """The median of the seconds that each function takes, by name, the functions taking turns.

    Whatever else the machine does meanwhile meets all sides alike, so that their ratios hold where
    seconds would not. The first turns are not timed: a deep network's first five or six steps take
    a quarter longer than all that follow.

    Example:

    >>> seconds = medians({"nothing": lambda: None, "a sum": lambda: sum(range(10_000))})
    >>> seconds["a sum"] > seconds["nothing"]
    True
    """
    times = {name: [] for name in sides}
    for turn in range(warmups + rounds):
        for name, function in sides.items():
            start = time.perf_counter()
            function()
            seconds = time.perf_counter() - start
            if turn >= warmups:
                times[name].append(seconds)
    return {name: statistics.median(found) for name, found in times.items()}


def row(bench, case, dtype, unit, amount, seconds, **more):
    """A line of a benchmark's table, from the seconds that each side took for `amount` units.

    `ours`, `floor` and `backprop` are rates, units per second, or `None` for sides without
    `seconds`. `ratio_to_floor` is our rate as a share of the floor's, `ratio_to_backprop` our time
    as a multiple of backpropagation's. `more` are further columns.

    Example:

    >>> line = row("step", "a case", "float32", "samples/s", 100, {"ours": 2.0, "floor": 1.0})
    >>> line["ours"], line["ratio_to_floor"], line["ratio_to_backprop"]
    (50.0, 0.5, None)
    """
    floor, backprop = seconds.get("floor"), seconds.get("backprop")
    return {
        "bench": bench,
        "case": case,
        "dtype": dtype,
        "unit": unit,
        "ours": amount / seconds["ours"],
        "floor": amount / floor if floor else None,
        "backprop": amount / backprop if backprop else None,
        "ratio_to_floor": floor / seconds["ours"] if floor else None,
        "ratio_to_backprop": seconds["ours"] / backprop if backprop else None,
        **more,
    }
