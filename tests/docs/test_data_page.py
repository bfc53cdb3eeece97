"""docs/data.md: its programs run as they stand, and the layers it names are Keras's."""

import re

import keras
import pytest

from tests.helpers import ROOT

PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
TABLE = PAGE[PAGE.index("| layer in front") : PAGE.index("The same holds")]


def test_the_layers_are_those_of_keras():
    names = [
        name
        for row in re.findall(r"^\| (`.*?) \|", TABLE, re.M)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert len(names) > 15
    for name in names:
        assert hasattr(keras.layers, name), name


@pytest.mark.slow
def test_the_programs():
    names = {}
    for program in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S):
        exec(program, names)
    assert int(names["model"].layers_trained) == 2
