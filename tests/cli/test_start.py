"""`keras-ff` starts quickly: what needs nothing of Keras imports nothing of it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import keras_ff

ROOT = pathlib.Path(keras_ff.__file__).parents[1]
# Runs the command line, then prints its exit code and what has been imported, and what for.
CODE = """
import json, os, sys
import keras_ff_cli
code = keras_ff_cli.main()
modules = sorted({name.partition(".")[0] for name in sys.modules})
print()
print(json.dumps([code, modules, os.times().user]))
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--help",), 0),
        (("train", "--help"), 0),
        (("zoo", "join", "--help"), 0),
        (("--version",), 0),
        (("train", "--epoch", "3"), 2),
        (("bench", "steps"), 2),
        (("zoo", "list", "--folder", ""), 2),
        ((), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_needs_no_keras_answers_without_it(words, expected):
    process = subprocess.run(
        [sys.executable, "-c", CODE, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules, seconds = json.loads(process.stdout.splitlines()[-1])
    assert code == expected
    assert not {"keras", "keras_ff", "tensorflow", "jax", "numpy"} & set(modules)
    assert seconds < 0.3  # of the processor; about 0.1 was measured
    assert (process.stderr == "") == (expected == 0)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_a_missing_backend_is_named(backend):
    process = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.modules[{backend!r}] = None\n{CODE}",
            "zoo",
            "list",
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(process.stdout.splitlines()[-1])[0] == 2
    (line,) = [line for line in process.stderr.splitlines() if line.startswith("keras-ff: ")]
    assert line.startswith(f"keras-ff: Keras needs {backend}: pip install 'keras_ff[{backend}]'")
