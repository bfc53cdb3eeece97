"""The command line, as tests use it: within this process, with what it printed."""

import contextlib
import io

from keras_ff import cli


def command(*words):
    """A command that has run: exit code, what it printed, and what it said was wrong."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main([str(word) for word in words])
    return code, out.getvalue(), err.getvalue()
