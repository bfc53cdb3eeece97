"""`keras-ff` as a process: what must be in place before Keras is imported, and what is left after.

Keras takes seconds to import, during which Ctrl-C must end the process as quietly as later on.
"""

import os
import signal
import sys

from keras_ff_cli import plain_text

INTERRUPTED = 130  # as a shell reports a process that Ctrl-C ended


def main():
    """Run `keras-ff` with the words of the process; returns the exit code."""
    signal.signal(signal.SIGINT, _end)
    sys.unraisablehook = _hook(sys.unraisablehook)
    plain_text.use(sys.stdout, sys.stderr)
    from keras_ff import cli

    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = cli.main()
        signal.signal(signal.SIGINT, _end)
    except KeyboardInterrupt:  # a second one, while the first was being told of
        _end()
    return code


def _end(*signal_and_frame):
    """End at once: there is nothing to save, and nothing to wait for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.write(2, b"\nkeras-ff: interrupted.\n")
    os._exit(INTERRUPTED)


def _hook(usual):
    """Where nothing can be raised, such as in a destructor, Ctrl-C ends the process there."""

    def report(unraisable):
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            _end()
        usual(unraisable)

    return report
