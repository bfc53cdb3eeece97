"""Timing: functions that take turns in one process, and the median of each."""

import statistics
import time


def medians(sides, rounds=9, warmups=8):
    """Seconds that each function takes, the functions taking turns.

    Whatever else the machine does meanwhile meets all sides alike, so that their ratios hold
    where seconds would not.

    Args:
        sides: dictionary from name to a function without arguments that returns when its work is
            done.
        rounds: integer, how often each is timed. Defaults to `9`.
        warmups: integer, how often each is called before. Defaults to `8`: a deep
            network's first five or six steps take a quarter longer than all that follow.

    Returns:
        A dictionary from name to the median of its seconds.

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

    Args:
        bench, case, dtype, unit: strings.
        amount: number of units, such as samples, that every side worked off.
        seconds: dictionary with `"ours"` and, where there are such sides, `"floor"` and
            `"backprop"`.
        **more: further columns.

    Returns:
        A dictionary. `ours`, `floor` and `backprop` are rates, units a second, or `None`;
        `ratio_to_floor` is our rate as a share of the floor's, `ratio_to_backprop` our time as a
        multiple of backpropagation's.

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
