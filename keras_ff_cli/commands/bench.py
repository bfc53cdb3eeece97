"""The options of `keras-ff bench`."""

from keras_ff_cli import options
from keras_ff_cli.names import BENCHMARKS, listed

# The benchmarks whose sides are timed as often as one likes.
TIMED = ("step", "conv", "predict", "accuracy", "start")
# The one whose distributions are drawn.
DRAWN = "system"


def add_to(commands):
    """Add `bench` and its options to the parser's commands."""
    parser = options.add_command(
        commands,
        "bench",
        "keras_ff.cli.bench:bench",
        "measure speed and memory beside backpropagation and the least possible",
        "Each side's work is timed in turns in this process, and the median is taken. `ours`, "
        "`floor` (the bare products and one update) and `backprop` are rates; ratio_to_floor is "
        "our rate as a share of the floor's, ratio_to_backprop our time as a multiple of "
        "backpropagation's. `start` times whole processes, in seconds.",
    )
    parser.add_argument(
        "names", nargs="+", choices=BENCHMARKS, metavar="NAME", help=listed(BENCHMARKS)
    )
    parser.add_argument(
        "--json", dest="json_file", type=options.path, metavar="FILE", help="write the rows there"
    )
    parser.add_argument(
        "--picture", type=options.path, metavar="FILE", help=f"draw the distributions of {DRAWN}"
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"how often a side is timed ({listed(TIMED)})"
    )
