"""`keras-ff` as a process: Ctrl-C at any moment, pipes that close, terminals of few characters."""

import io
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

import keras_ff
from keras_ff import cli
from keras_ff_cli import plain_text
from tests.helpers.command_line import Command

ROOT = pathlib.Path(keras_ff.__file__).parents[1]
SAID = "keras-ff: interrupted.\n"
FULL = pathlib.Path("/dev/full")


def started(folder, *words, **environment):
    """The process of a command in a folder, in which modules are found before any others."""
    paths = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-m", "keras_ff_cli", *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(process, line):
    """Exit code and stderr of a process that gets Ctrl-C when it has printed a line."""
    while line not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


WAIT = "print('now', flush=True)\nimport time\ntime.sleep(30)\n"
COMMAND = """
import time
def report(run_or_preset):
    try:
        print('now', flush=True)
        time.sleep(30)
    except KeyboardInterrupt:
        time.sleep(0.1)
        raise
"""
IN_A_DESTRUCTOR = """
import time
class Last:
    def __del__(self):
        print('now', flush=True)
        time.sleep(30)
def report(run_or_preset):
    Last()
    print('went on')
"""
AT_THE_END = """
import atexit, time
def last():
    print('now', flush=True)
    time.sleep(30)
def report(run_or_preset):
    atexit.register(last)
"""


@pytest.mark.parametrize(
    ("package", "command"),
    [(WAIT, ""), ("", WAIT), ("", COMMAND), ("", IN_A_DESTRUCTOR), ("", AT_THE_END)],
    ids=["importing", "importing the command", "running", "in a destructor", "at the end"],
)
def test_ctrl_c_ends_with_a_sentence_at_any_moment(package, command, tmp_path):
    folder = tmp_path / "keras_ff" / "cli"
    folder.mkdir(parents=True)
    (tmp_path / "keras_ff" / "__init__.py").write_text(package)
    (folder / "__init__.py").touch()
    (folder / "report.py").write_text(command)
    code, err = interrupted(started(tmp_path, "report", "run"), "now")
    assert code == 130
    assert err == "\n" + SAID


@pytest.mark.slow
def test_a_training_that_ctrl_c_ended_is_resumed(tmp_path):
    words = ("train", "--units", "24", "--epochs", "9", "--out", "run")
    code, err = interrupted(started(tmp_path, *words), "Epoch 3/9")
    assert code == 130
    assert err.endswith(SAID) and "Traceback" not in err
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert len(history["loss"]) >= 2
    command = Command("train", "--resume", "--out", tmp_path / "run")
    assert command.code == 0 and "9 epochs" in command.out


def with_stdout(stream, *words):
    """The exit code of a command that prints to a stream."""
    before, sys.stdout = sys.stdout, stream
    try:
        return cli.main(list(words))
    finally:
        sys.stdout = before


@pytest.mark.parametrize(
    "words", [("--help",), ("zoo", "list"), ("zoo", "show", "digits_mlp_relu"), ("reproduce",)]
)
def test_a_pipe_that_closes_ends_quietly(words, capfd):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        assert with_stdout(stream, *words) == 141
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is full")
def test_an_output_that_is_full_is_said(capfd):
    with FULL.open("w", encoding="utf-8") as stream:
        assert with_stdout(stream, "zoo", "list") == 2
    assert capfd.readouterr().err == "keras-ff: [Errno 28] No space left on device\n"


def encoded(encoding, *words):
    """What a command prints on a terminal of some encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    plain_text.use(stream)
    assert with_stdout(stream, *words) == 0
    return stream.buffer.getvalue().decode(encoding)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize(
    "words",
    [
        ("zoo", "list"),
        ("zoo", "list", "--markdown"),
        ("zoo", "show", "cifar10_cnn_relu"),
        ("train", "--help"),
        ("tune", "--help"),
        ("reproduce",),
        ("reproduce", "--help"),
    ],
)
def test_terminals_of_few_characters(encoding, words):
    found = encoded(encoding, *words)
    text = Command(*words).out
    assert len(found) == len(text)  # tables stay aligned
    same = [one for one, other in zip(found, text, strict=True) if one == other]
    assert len(same) > 0.98 * len(text) and "?" not in set(found) - set(text)


def test_characters_are_plain_where_the_encoding_lacks_them():
    for encoding, expected in (
        ("utf-8", "5 ± 1 – café → \\udcff"),
        ("latin-1", "5 ± 1 - café > ?"),
        ("ascii", "5 + 1 - cafe > ?"),
    ):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        plain_text.use(stream, object())
        stream.write("5 ± 1 – café → \udcff")  # the last from a file's name
        stream.flush()
        found = stream.buffer.getvalue().decode(encoding)
        assert found == expected.replace("\\udcff", "?")
