"""The command line, as tests use it: within this process, with what it printed."""

import contextlib
import io

from keras_ff import cli

SMALL = ("--units", "24,16", "--epochs", "2", "--batch-size", "256", "--learning-rate", "0.01")


def command(*words):
    """A command that has run: exit code, what it printed, and what it said was wrong."""
    ran = Command(*words)
    return ran.code, ran.out, ran.err


class Command:
    """A command that has run: exit code and what it printed."""

    def __init__(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.code = cli.main([str(word) for word in words])
        self.out, self.err = out.getvalue(), err.getvalue()


def refused(*words):
    """Run a command that must fail; return the one sentence it says."""
    command = Command(*words)
    assert command.code == 2
    assert command.err.count("\n") == 1 and command.err.startswith("keras-ff")
    assert "Traceback" not in command.err
    return command.err
