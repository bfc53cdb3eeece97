"""The command line: `keras-ff train`, `tune`, `evaluate`, `zoo`, `report`, `reproduce` and
`bench`."""

import argparse
import contextlib
import os
import sys
import warnings

from keras_ff.cli import bench, evaluate, report, reproduce, train, tune, zoo
from keras_ff.cli.printing import verbosity as _verbosity
from keras_ff.cli.runs import new_folder as _new_folder
from keras_ff.version import __version__

# In the order of the help. Each adds its options to the parser, and names its function there.
COMMANDS = (train, tune, evaluate, report, zoo, reproduce, bench)
SUCCESS, USER_ERROR, INTERRUPTED, CLOSED = 0, 2, 130, 141
EXIT_CODES = (
    f"Exit codes: {SUCCESS} it went well; {zoo.DIFFERENT} `zoo evaluate` found a preset that is "
    f"not what its card says; {USER_ERROR} the command, its files or its data were wrong, as one "
    f"sentence on stderr says; {INTERRUPTED} interrupted; {CLOSED} whoever read the output went "
    "away."
)


def main(argv=None):
    """Run a command.

    Args:
        argv: list of strings, the words after `keras-ff`. Defaults to `None`: those that the
            process was started with.

    Returns:
        The exit code: 0, 1 where `zoo evaluate` finds a preset that is not what its card says, 2
        after one sentence on stderr about what was wrong with the command, its files or its data,
        130 where it was interrupted, or 141 where the output's reader went away, as `head` does.

    Example:

    >>> main(["--version"])
    keras-ff ...
    0
    """
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = _run(argv)
            sys.stdout.flush()  # where it cannot be written, that is said here
            return code
        except BrokenPipeError:
            _close_output()
            return CLOSED
        except (ValueError, OSError) as error:
            print(f"keras-ff: {' '.join(str(error).split())}", file=sys.stderr)
            return USER_ERROR
        except KeyboardInterrupt:
            print("\nkeras-ff: interrupted.", file=sys.stderr)
            return INTERRUPTED


def _run(argv):
    try:
        options = vars(_parser().parse_args(argv))
    except SystemExit as exit_:  # argparse has said what there is to say
        return exit_.code
    command = options.pop("command")
    return command(**options) or SUCCESS


def _close_output():
    """Let what is still to be written go nowhere, or Python would complain of it at the end."""
    with contextlib.suppress(OSError, ValueError):  # a stream of memory has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """Says what was wrong with a command in one sentence."""

    def error(self, message):
        self.exit(USER_ERROR, f"{self.prog}: {message} (`{self.prog} --help` lists the options).\n")


def _parser():
    parser = _Parser(
        prog="keras-ff",
        description="Train and measure Forward-Forward networks.",
        epilog=EXIT_CODES,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"keras-ff {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add_to(commands)
    return parser


def _show_warning(message, category, filename, lineno, file=None, line=None):
    if issubclass(category, UserWarning):  # others are for those who write the code
        print(f"keras-ff: {' '.join(str(message).split())}", file=sys.stderr)
