"""docs/callbacks.md: its programs run one after the other."""

import re

import numpy as np
import pytest

from tests.helpers import ROOT

PAGE = ROOT / "docs" / "callbacks.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.slow
def test_the_programs_of_the_page(capsys):
    names = {}
    for program in PROGRAMS:
        exec(program, names)
    model, stages = names["model"], capsys.readouterr().out.splitlines()
    assert [line.split(" ", 1)[0] for line in stages] == ["(0,)", "(1,)", "(2,)"]
    probabilities = model.predict_proba(names["x"], verbose=0)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
