"""The options of `keras-ff zoo` and its commands."""

from keras_ff_cli import options


def _option(*names, **arguments):
    return names, arguments


_PATH = {"type": options.path, "metavar": "FOLDER"}
_PRESET = _option("name", metavar="PRESET", help="a name, or a preset's folder")
_DATA_DIR = _option("--data-dir", **options.DATA_DIR)
_FOLDERS = _option(
    "--folder",
    dest="folders",
    action="append",
    **_PATH,
    help="of presets, before those in KERAS_FF_ZOO and those of keras_ff",
)
_NEW_PRESET = [
    _option("--name", help="default: dataset, architecture and activation"),
    _option("--to", **_PATH, help="the folder of presets that it is added to (default: zoo)"),
    _option("--description", metavar="TEXT", help="what it is, for the card"),
    _option("--replace", action="store_true", help="a preset of that name, if any"),
    _DATA_DIR,
]
_COMMANDS = {
    "list": (
        "list_presets",
        "a table of all presets, or some",
        *(
            _option(f"--{name}", metavar="NAME", help=f"those of this {name} alone")
            for name in ("dataset", "activation", "architecture")
        ),
        _option("--markdown", action="store_true", help="as the page ZOO.md"),
        _FOLDERS,
    ),
    "show": ("show", "a preset's card", _PRESET, _FOLDERS),
    "evaluate": (
        "evaluate",
        "measure presets on their test sets again",
        _option("names", nargs="*", metavar="PRESET", help="names, or presets' folders"),
        _option("--all", dest="every", action="store_true", help="all that have weights"),
        _DATA_DIR,
        _FOLDERS,
    ),
    "train": (
        "train_again",
        "train a preset again, by its own recipe",
        _PRESET,
        _option("--out", **_PATH, required=True, help="where the run is kept"),
        _option("--resume", action="store_true", help="go on with the run in --out"),
        _DATA_DIR,
        _FOLDERS,
    ),
    "add": (
        "add",
        "make a preset of a run of keras-ff train",
        _option("run", type=options.path, metavar="RUN", help="the run's folder"),
        _option(
            "--weights",
            metavar="STORAGE",
            help="float32, float16, int8, int6, or auto (default): the smallest that keeps the "
            "validation accuracy",
        ),
        *_NEW_PRESET,
    ),
    "join": (
        "join",
        "make a preset of an ensemble of presets",
        _option("members", nargs="+", metavar="PRESET", help="names, found as by zoo list"),
        _option(
            "--shares",
            nargs="+",
            type=float,
            metavar="SHARE",
            help="what each one's scores count (default: the same)",
        ),
        *_NEW_PRESET,
    ),
}


def add_to(commands):
    """Add `zoo` and its commands to the parser's commands."""
    parser = commands.add_parser(
        "zoo",
        help="trained networks to load, and your own",
        description="Presets: trained networks and configurations, each with a card.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for name, (function, text, *own) in _COMMANDS.items():
        description = text[0].upper() + text[1:] + "."
        command = f"keras_ff.cli.zoo:{function}"
        own_parser = options.add_command(commands, name, command, text, description)
        for names, arguments in own:
            own_parser.add_argument(*names, **arguments)
