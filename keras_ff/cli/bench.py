"""`keras-ff bench`: measure speed and memory."""

import json

from keras_ff.utils import files
from keras_ff_cli.commands.bench import DRAWN, TIMED


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
