"""What TensorFlow writes to stderr when it starts, other than errors, is left out.

`TF_CPP_MIN_LOG_LEVEL` silences most of it. The rest is written by code that is initialised before
anything can silence it, straight to the descriptor of stderr. During that import stderr is
therefore a pipe to a process of its own, which passes on all other lines. Where TensorFlow ends
this process, as on a processor that lacks an instruction, that one lives on and passes on why.
"""

import contextlib
import importlib.machinery
import os
import re
import subprocess
import sys

VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
NO_WARNINGS = "2"  # neither information nor warnings, but errors
PATIENCE = 10.0  # seconds
NOISE = re.compile(
    # absl, before it is initialised: its preamble, information and warnings
    rb"WARNING: All log messages before absl::InitializeLog\(\) is called"
    rb"|[IW]\d{4} \d\d:\d\d:"
    # a second line of one of them
    rb"|To enable the following instructions: "
    # libraries for GPUs, which TensorFlow registers twice
    rb"|E\d{4} .*Unable to register cu\w+ factory"
    # a machine without a driver for GPUs
    rb"|E\d{4} .*failed call to cuInit: .*\(303\)"
)


def leave_out():
    """Have TensorFlow be quiet when it is imported, unless the user asks for its words."""
    if os.environ.setdefault(VARIABLE, NO_WARNINGS) >= NO_WARNINGS:
        sys.meta_path.insert(0, _Finder)


class _Finder:
    """Finds TensorFlow alone, as Python itself does, and has it executed quietly."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = _quietly(spec.loader.exec_module)
        return spec


def _quietly(execute):
    def exec_module(module):
        with filtered():
            execute(module)
            module.config.list_physical_devices()  # of which it would complain later on

    return exec_module


@contextlib.contextmanager
def filtered():
    """A context in which what this process writes to the descriptor of stderr is filtered."""
    process = _started() if sys.stderr is not None else None  # None: it is closed
    if process is None:
        yield
        return
    stderr = os.dup(2)
    sys.stderr.flush()
    os.dup2(process.stdin.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)
        os.close(stderr)
        process.stdin.close()
        # Until all is passed on, unless another process has the pipe as its stderr, too.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)


def _started():
    """The process that passes lines on, `None` where the system has none to give."""
    # Without site-packages it starts in milliseconds; Ctrl-C is not for it.
    command = [sys.executable, "-I", "-S", __file__]
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    except OSError:
        return None


def pass_on(lines, out):
    """Write lines, without those of the start, each as soon as it is there."""
    for line in lines:
        if not is_noise(line):
            out.write(line)
            out.flush()


def is_noise(line):
    """Whether a line of bytes is one that TensorFlow writes at every start.

    Example:

    >>> is_noise(b"I0000 00:00:1.2 3 cudart_stub.cc:31] Could not find cuda drivers")
    True
    >>> is_noise(b"F0000 00:00:1.2 3 cpu_info.cc:50] compiled to use AVX instructions")
    False
    """
    return NOISE.match(line) is not None


if __name__ == "__main__":
    pass_on(sys.stdin.buffer, sys.stderr.buffer)
