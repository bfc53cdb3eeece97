"""TensorFlow's words at its start do not reach the terminal; what is wrong does."""

import os
import pathlib
import subprocess
import sys
import time

import pytest

import keras_ff
from keras_ff_cli import start_up_noise

ROOT = pathlib.Path(keras_ff.__file__).parents[1]
NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1796063420.318140   28762 cudart_stub.cc:31] Could not find cuda drivers on your machine
I0000 00:00:1796063420.518909   28762 cpu_feature_guard.cc:227] This TensorFlow binary is optimized
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow
E0000 00:00:1796063420.518909   28762 cuda_fft.cc:467] Unable to register cuFFT factory: it is there
W0000 00:00:1796063420.518909   28762 computation_placer.cc:177] computation placer already there
E0000 00:00:1796063420.518909   28762 cuda_platform.cc:52] failed call to cuInit: ERROR (303)
"""
WRONG = """\
F0000 00:00:1796063420.318140   28762 cpu_info.cc:50] compiled to use AVX instructions
E0000 00:00:1796063420.518909   28762 cuda_platform.cc:52] failed call to cuInit: MISMATCH (803)
ImportError: libcudnn.so.9: cannot open shared object file
"""
# A TensorFlow that speaks at once and when it is asked for devices, then imports or does not.
TENSORFLOW = """
import os
os.write(2, {first!r})
class config:
    def list_physical_devices():
        os.write(2, {second!r})
{then}
"""


def run(folder, *words, level=None):
    """A process of `keras-ff` that finds modules in a folder first."""
    environment = {name: value for name, value in os.environ.items() if name[:3] != "TF_"}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    command = [sys.executable, "-m", "keras_ff_cli", *words]
    return subprocess.run(command, env=environment, text=True, capture_output=True, cwd=folder)


@pytest.fixture
def report(tmp_path):
    """A function that runs `keras-ff report` with a TensorFlow that ends by some code."""

    def report(then="", **options):
        first, _, second = (NOISE + WRONG).partition("F0000")
        second = "F0000" + second
        (tmp_path / "tensorflow.py").write_text(
            TENSORFLOW.format(first=first.encode(), second=second.encode(), then=then)
        )
        (tmp_path / "keras_ff" / "cli").mkdir(parents=True)
        (tmp_path / "keras_ff" / "__init__.py").write_text("import tensorflow\n")
        (tmp_path / "keras_ff" / "cli" / "__init__.py").touch()
        (tmp_path / "keras_ff" / "cli" / "report.py").write_text(
            "import os\n"
            "def report(run_or_preset):\n"
            "    os.write(2, b'I0000 00:00:1 later\\n')\n"
            "    print(os.environ['TF_CPP_MIN_LOG_LEVEL'])\n"
        )
        return run(tmp_path, "report", "x", **options)

    return report


def test_what_is_wrong_is_heard_and_nothing_else(report):
    process = report()
    assert (process.returncode, process.stdout) == (0, "2\n")
    # After the import stderr is what it was.
    assert process.stderr == WRONG + "I0000 00:00:1 later\n"


@pytest.mark.parametrize("level", ["0", "1", "3"])
def test_a_level_that_the_user_chose_stays(report, level):
    process = report(level=level)
    assert process.stdout == level + "\n"
    assert process.stderr.startswith(NOISE if level < "2" else WRONG)


def test_the_last_words_of_a_process_that_is_ended_come_through(report):
    process = report("config.list_physical_devices(); os.abort()")
    assert process.returncode < 0
    assert process.stderr == WRONG


def test_what_an_import_raises_comes_through(report):
    process = report("raise ImportError('no such library')")
    assert process.returncode == 1
    assert "Traceback" in process.stderr and "ImportError: no such library" in process.stderr


def test_without_a_process_to_filter_by_all_is_heard(monkeypatch, capfd):
    def refuse(*arguments, **options):
        raise BlockingIOError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with start_up_noise.filtered():
        os.write(2, NOISE.encode())
    assert capfd.readouterr().err == NOISE


def test_a_process_that_keeps_stderr_open_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(start_up_noise, "PATIENCE", 0.01)
    start = time.monotonic()
    with start_up_noise.filtered():
        other = os.dup(2)
    assert time.monotonic() - start < 5
    os.close(other)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("zoo", "list"), ("evaluate", "digits_mlp_relu")], ids=" ".join)
def test_the_commands_start_in_silence(words, tmp_path):
    process = run(tmp_path, *words)
    assert process.returncode == 0 and "digits" in process.stdout
    assert process.stderr == ""
