"""Runs a command: parses it, imports its function and calls that."""

import contextlib
import os
import sys
import warnings

from keras_ff_cli import parser
from keras_ff_cli.exit_codes import CLOSED, INTERRUPTED, SUCCESS, USER_ERROR

# Backends, each with an extra of its own.
BACKENDS = ("tensorflow", "jax", "torch")


def run(argv=None, imported=lambda: None):
    """Run a command.

    Args:
        argv: list of strings, the words after `keras-ff`. Defaults to `None`: those that the
            process was started with.
        imported: function, called when the command and with it Keras are imported. Defaults to
            one that does nothing.

    Returns:
        The exit code, one of `keras_ff_cli.exit_codes`.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = _run(argv, imported)
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


def _run(argv, imported):
    try:
        options = vars(parser.new().parse_args(argv))
    except SystemExit as exit_:  # argparse has said what there is to say
        return exit_.code
    command = _function(options.pop("command"))
    imported()
    return command(**options) or SUCCESS


def _function(name):
    """The function of a command by its name, with all that it imports, or a ValueError."""
    import pkgutil

    try:
        return pkgutil.resolve_name(name)
    except ModuleNotFoundError as error:
        backend = (error.name or "").partition(".")[0]
        if backend not in BACKENDS:
            raise
        raise ValueError(
            f"Keras needs {backend}: pip install 'keras_ff[{backend}]', or choose another backend "
            "by the environment variable KERAS_BACKEND."
        ) from error


def _close_output():
    """Let what is still to be written go nowhere, or Python would complain of it at the end."""
    with contextlib.suppress(OSError, ValueError):  # a stream of memory has no descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())


def _show_warning(message, category, filename, lineno, file=None, line=None):
    if issubclass(category, UserWarning):  # others are for those who write the code
        print(f"keras-ff: {' '.join(str(message).split())}", file=sys.stderr)
