"""README and docs/: their programs run in order, and so do the commands they show."""

import re
import shlex
import subprocess
import sys

import keras
import pytest

from keras_ff import cli
from tests.helpers import ROOT

PATHS = {path.stem: path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
# These have files of their own, which ask more of them.
TESTED_ELSEWHERE = {"callbacks", "data", "recipes", "scaling"}
# Their programs choose a backend, so that they need a process of their own.
OWN_PROCESS = {"jax"}
# What a reader does once, before anything else.
INSTALLS = "python -m pip install"

LANGUAGES = ("python", "sh", "text")


def blocks(name, language):
    """The blocks of a page in one language, in order."""
    page = PATHS[name].read_text(encoding="utf-8")
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", page)


PROGRAMS = [name for name in PATHS if blocks(name, "python") and name not in TESTED_ELSEWHERE]
COMMANDS = [name for name in PATHS if blocks(name, "sh") and name not in TESTED_ELSEWHERE]


def test_no_block_is_left_out():
    assert {"README", "index", "getting-started", "faq", "convolutions", "jax"} <= set(PROGRAMS)
    assert {"getting-started", "command-line", "presets"} <= set(COMMANDS)
    for name, path in PATHS.items():
        page = path.read_text(encoding="utf-8")
        # A diagram is text; what has another language would be neither run nor refused here.
        ran = [block for language in LANGUAGES for block in blocks(name, language)]
        assert page.count("```") == 2 * len(ran), name


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in OWN_PROCESS])
def test_the_programs_of_a_page(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {}
    for program in blocks(name, "python"):
        exec(program, names)


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.tensorflow("the programs choose their backend")
@pytest.mark.parametrize("name", sorted(OWN_PROCESS))
def test_the_programs_of_a_page_in_a_process(name, tmp_path):
    program = "\n".join(blocks(name, "python")) + "\nprint(keras.backend.backend())\n"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == name


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.tensorflow("datasets and searches")
@pytest.mark.parametrize("name", COMMANDS)
def test_the_commands_of_a_page(name, monkeypatch, tmp_path, packaged_presets_alone):
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks(name, "sh") for line in block.splitlines()]
    for line in lines:
        if not line.startswith(INSTALLS):
            program, *words = shlex.split(line)
            assert (program, cli.main(words)) == ("keras-ff", 0), line
            assert keras.config.dtype_policy().name == "float32"
