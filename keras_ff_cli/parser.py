"""The parser of `keras-ff`, which imports nothing of Keras."""

import argparse

from keras_ff_cli import exit_codes
from keras_ff_cli.commands import bench, evaluate, report, reproduce, train, tune, zoo
from keras_ff_cli.version import __version__

# In the order of the help. Each adds its options to the parser, and names its function there.
COMMANDS = (train, tune, evaluate, report, zoo, reproduce, bench)


class Parser(argparse.ArgumentParser):
    """Says what was wrong with a command in one sentence."""

    def error(self, message):
        self.exit(
            exit_codes.USER_ERROR,
            f"{self.prog}: {message} (`{self.prog} --help` lists the options).\n",
        )


def new():
    """The parser. What it has parsed holds the options and, as `command`, the function's name.

    Example:

    >>> new().parse_args(["zoo", "show", "digits_mlp_relu"])
    Namespace(command='keras_ff.cli.zoo:show', name='digits_mlp_relu')
    """
    parser = Parser(
        prog="keras-ff",
        description="Train and measure Forward-Forward networks.",
        epilog=exit_codes.HELP,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"keras-ff {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add_to(commands)
    return parser
