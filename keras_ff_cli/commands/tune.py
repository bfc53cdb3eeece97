"""The options of `keras-ff tune`."""

from keras_ff_cli import configuration, options


def add_to(commands):
    """Add `tune` and its options to the parser's commands."""
    parser = options.add_command(
        commands,
        "tune",
        "keras_ff.cli.tune:tune",
        "search for what trains best, with KerasTuner",
        "Search for what trains best on validation data, with KerasTuner. The other options are "
        "those of `train`, and hold for all trials. Thresholds, margins and alpha are searched in "
        "units of the goodness.",
    )
    search = parser.add_argument_group("search")
    search.add_argument(
        "--search",
        default="threshold,margin",
        metavar="NAME[,NAME…]",
        help="what is searched (default: threshold,margin); also learning_rate, activation, width…",
    )
    search.add_argument(
        "--layer-wise",
        action="store_true",
        help="one layer after the other, each on top of the best of those below",
    )
    search.add_argument(
        "--candidates",
        type=int,
        metavar="N",
        help="by layers: how many of a layer's best trials the next may stand on (default: 2)",
    )
    search.add_argument(
        "--trials", type=int, metavar="N", help="how many (default: 20; by layers 10 for each)"
    )
    search.add_argument(
        "--tuner", metavar="NAME", help="bayesian (default), random, hyperband or grid"
    )
    search.add_argument(
        "--out",
        type=options.path,
        metavar="FOLDER",
        help="where the search is kept (default: a new folder in runs/)",
    )
    search.add_argument("--resume", action="store_true", help="go on with the search in --out")
    configuration.add_to(parser)
