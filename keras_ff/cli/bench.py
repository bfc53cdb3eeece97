"""`keras-ff bench`: measure speed and memory."""

import json

from keras_ff.cli import options
from keras_ff.lab.benchmarks import BENCHES
from keras_ff.utils import files

# The benchmarks in which short work is timed again and again.
TIMED = ("step", "conv", "predict")
# The one whose distributions are drawn.
DRAWN = "system"


def bench(names, json_file=None, rounds=None, picture=None):
    """Run benchmarks and print their tables."""
    from keras_ff import training
    from keras_ff.lab import benchmarks

    if picture is not None and DRAWN not in names:
        raise ValueError(f"--picture is for the benchmark {DRAWN!r}. Received: {', '.join(names)}")
    arguments = {} if rounds is None else {"rounds": rounds}
    # Each begins when its first row is asked for, and is refused before any.
    benches = [
        benchmarks.run(name, **(arguments if name in TIMED else {}))
        for name in dict.fromkeys(names)
    ]
    print(json.dumps({"machine": training.machine(), **training.versions()}), flush=True)
    rows = []
    for bench_rows in benches:
        for row in bench_rows:
            print(_values(row), flush=True)
            rows.append(row)
            if json_file is not None:  # as they come: some take long
                json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if picture is not None:
        from keras_ff.lab.benchmarks import system

        drawn = system.picture([row for row in rows if row["bench"] == DRAWN])
        files.write_whole(picture, drawn.savefig)


def _values(row):
    """A row of a benchmark as a line."""
    head = f"{row['bench']}: {row['case']}, {row['dtype']} ({row['unit']}): "
    apart = ("bench", "case", "dtype", "unit")
    values = [
        f"{name} {value:,.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in row.items()
        if name not in apart and value is not None and not isinstance(value, list)
    ]
    return head + ", ".join(values)


def add_to(commands):
    """Add `bench` and its options to the parser's commands."""
    parser = options.add_command(
        commands,
        "bench",
        bench,
        "measure speed and memory beside backpropagation and the least possible",
        "Each side's work is timed in turns in this process, and the median is taken. `ours`, "
        "`floor` (the bare products and one update) and `backprop` are rates; ratio_to_floor is "
        "our rate as a share of the floor's, ratio_to_backprop our time as a multiple of "
        "backpropagation's.",
    )
    parser.add_argument(
        "names", nargs="+", choices=BENCHES, metavar="NAME", help=", ".join(BENCHES)
    )
    parser.add_argument(
        "--json", dest="json_file", type=options.path, metavar="FILE", help="write the rows there"
    )
    parser.add_argument(
        "--picture", type=options.path, metavar="FILE", help=f"draw the distributions of {DRAWN}"
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"how often a side is timed ({', '.join(TIMED)})"
    )
