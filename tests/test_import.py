"""`import keras_ff`: what it costs beyond `import keras`, and what is there afterwards."""

import json
import subprocess
import sys

import pytest

from tests.helpers import ROOT

# Imports keras, then keras_ff; prints what that added, its seconds, and which names are missing.
CODE = """
import json, os, sys
import keras
before, start = set(sys.modules), os.times().user
import keras_ff
seconds = os.times().user - start
ours = {"keras_ff", "keras_ff_cli", *sys.stdlib_module_names}
added = [name for name in set(sys.modules) - before if name.partition(".")[0] not in ours]
missing = [name for name in keras_ff.__all__ if not hasattr(keras_ff, name)]
print(json.dumps([added, seconds, missing, "keras_tuner" in sys.modules]))
"""


@pytest.mark.slow
def test_it_imports_nothing_that_keras_does_not():
    """No scikit-learn, SciPy, matplotlib, TFDS or KerasTuner, which the tools import later."""
    process = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    added, seconds, missing, tuner = json.loads(process.stdout.splitlines()[-1])
    assert added == []
    assert seconds < 0.5  # of the processor; 0.12 to 0.22 were measured
    assert missing == []
    assert tuner  # which came with `keras_ff.tuning`, when that was first asked for
