"""The examples in docstrings run and give what they say; every public part has one."""

import doctest
import importlib
import importlib.util
import inspect
import io
import pathlib
import pkgutil
import re

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import goodness, labels, layer_schedules, losses, negatives, readouts
from tests.helpers import mostly_slow

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules_with_examples():
    """Names of the public modules that show an example; those of single backends left out."""
    for module in pkgutil.walk_packages(keras_ff.__path__, "keras_ff."):
        private = any(part.startswith("_") for part in module.name.split("."))
        # The second is another name of keras_ff.lab.experiments.
        if private or module.name.startswith(("keras_ff.backends.", "keras_ff.experiments.")):
            continue
        origin = importlib.util.find_spec(module.name).origin
        if ">>>" in pathlib.Path(origin).read_text(encoding="utf-8"):
            yield module.name


MODULES = list(modules_with_examples())
# Of these, examples train.
TRAINING = {"callbacks", "lab", "models", "report", "training", "tuning", "zoo"}
QUICK = [place for place, name in enumerate(MODULES) if name.split(".")[1] not in TRAINING]


@pytest.mark.every_case
@mostly_slow("name", MODULES, quick=QUICK)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what an example saves
    runner = doctest.DocTestRunner(verbose=False, optionflags=OPTIONS)
    report = io.StringIO()
    finder = doctest.DocTestFinder(exclude_empty=True)
    # What a reader of an example has imported.
    imported = {"keras": keras, "keras_ff": keras_ff, "np": np}
    for case in finder.find(importlib.import_module(name), extraglobs=imported):
        runner.run(case, out=report.write)
    failed, attempted = runner.failures, runner.tries
    assert failed == 0, report.getvalue()
    assert attempted > 0


def test_the_modules_of_the_core_are_among_them():
    core = ["labels", "layer_schedules.greedy", "negatives", "readouts.goodness"]
    core += ["losses.logistic", "layers.ff_dense", "layers.ff_layer", "models.ff_model"]
    core += ["normalizations.length_normalization", "goodness.whole_sample"]
    assert {f"keras_ff.{name}" for name in core} <= set(MODULES)


PUBLIC = [
    keras_ff.FFModel,
    keras_ff.models.FFEnsemble,
    keras_ff.optimizers.Muon,
    *(getattr(keras_ff.layers, name) for name in keras_ff.layers.__all__),
    *(
        part
        for module in (goodness, labels, layer_schedules, losses, negatives, readouts)
        for part in module.KNOWN.values()
    ),
]


@pytest.mark.parametrize("part", PUBLIC, ids=lambda part: f"{part.__module__}.{part.__name__}")
def test_every_public_part_shows_an_example_and_explains_its_arguments(part):
    own = inspect.getdoc(part)
    assert "Example:\n\n>>> " in own
    documented = "\n".join(inspect.getdoc(kind) or "" for kind in part.__mro__[:-1])
    for name, argument in inspect.signature(part.__init__).parameters.items():
        if name != "self" and argument.kind is argument.POSITIONAL_OR_KEYWORD:
            # "    name: ..." or, where several are explained together, "name, other: ...".
            assert re.search(rf"(?m)^ {{4}}(\w+, )*{name}(,|:)", documented), name
