"""docs/scaling.md: its programs run as they stand, each in a process of its own."""

import re
import subprocess
import sys

import keras
import pytest

from tests.helpers import ROOT

PAGE = ROOT / "docs" / "scaling.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="The programs choose their backends"
)


def test_the_page_has_programs():
    assert len(PROGRAMS) == 3


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_page(program):
    done = subprocess.run(
        [sys.executable, "-c", program + "print(len(model.history.history['loss']), 'epochs')"],
        cwd=PAGE.parents[1],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "2 epochs" in done.stdout
