"""`keras-ff` as a process: options are parsed before Keras is imported, which takes seconds.

Meanwhile Ctrl-C must end the process as quietly as later on, and TensorFlow's start must not be
heard. The package needs the standard library alone.
"""

import os
import signal
import sys

from keras_ff_cli import plain_text, start_up_noise
from keras_ff_cli.exit_codes import INTERRUPTED


def main():
    """Run `keras-ff` with the words of the process; returns the exit code."""
    signal.signal(signal.SIGINT, _end)
    sys.unraisablehook = _hook(sys.unraisablehook)
    plain_text.use(sys.stdout, sys.stderr)
    start_up_noise.leave_out()
    from keras_ff_cli import running

    try:
        code = running.run(imported=_interruptible)
        signal.signal(signal.SIGINT, _end)
    except KeyboardInterrupt:  # a second one, while the first was being told of
        _end()
    return code


def _interruptible():
    """From here on Ctrl-C is for the command, which may have something to save."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
