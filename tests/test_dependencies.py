"""The core needs Keras, numpy and a backend; what else is missing is said where it is used."""

import ast
import functools
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib

import keras
import numpy as np
import pytest

from keras_ff import callbacks, datasets, losses, report, training, visualization, zoo
from keras_ff.lab import benchmarks
from keras_ff.recipes import TrainingConfig
from keras_ff.utils import extras
from tests.helpers import ROOT, command_line
from tests.helpers.missing import leave_out

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"keras_ff", "keras_ff_cli"}
OF_EXTRAS = (
    *("keras_tuner", "matplotlib", "psutil", "pynvml", "scipy", "sklearn"),
    *("tensorboard", "tensorflow_datasets"),
)


def installed_by(requirements):
    """The names of packages in requirements, those of extras of keras_ff among them."""
    names = set()
    for requirement in requirements:
        own = re.fullmatch(r"keras-ff\[(.*)\]", requirement)
        if own:
            for extra in own[1].split(","):
                names |= installed_by(EXTRAS[extra])
        else:
            names.add(re.match(r"[\w-]+", requirement)[0])
    return names


@functools.cache
def imports_of_others():
    """Of every import of another package: file, name, and whether it is made with the module."""
    found = []
    for path in (ROOT / "keras_ff").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in {name.partition(".")[0] for name in names}:
                if name not in sys.stdlib_module_names | OURS:
                    place = path.relative_to(ROOT).as_posix()
                    found.append((place, name, node in tree.body))
    return found


CORE = installed_by(PROJECT["dependencies"])


def test_the_core_is_small():
    assert installed_by(PROJECT["dependencies"]) == {"keras", "numpy"}


@pytest.mark.slow
def test_every_package_that_is_imported_is_asked_for():
    known = CORE | installed_by(["keras-ff[all,jax,torch]"])
    imported = {name for _, name, _ in imports_of_others()}
    assert {extras.DISTRIBUTIONS.get(name, name) for name in imported} - known == set()


@pytest.mark.slow
def test_only_backends_and_the_tuner_import_more_than_the_core_with_themselves():
    early = {path for path, name, at_once in imports_of_others() if at_once and name not in CORE}
    folders = {path.rpartition("/")[0] for path in early}
    assert folders == {"keras_ff/backends", "keras_ff/tuning"}


def test_all_has_every_tool_and_dev_has_all():
    tools = set(EXTRAS) - {"all", "dev", "docs", "jax", "torch"}
    for tool in tools:
        assert installed_by(EXTRAS[tool]) <= installed_by(EXTRAS["all"]), tool
    assert installed_by(EXTRAS["all"]) | {"jax"} <= installed_by(EXTRAS["dev"])
    assert installed_by(EXTRAS["all"]) == set().union(*(installed_by(EXTRAS[t]) for t in tools))


def import_tuning(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras_ff.tuning", raising=False)
    importlib.import_module("keras_ff.tuning")


def train(folder="never-made", **kwargs):
    training.train(TrainingConfig(), folder, **kwargs)


# What is missing, and what needs it.
USES = [
    ("sklearn", "datasets", lambda: datasets.load("digits")),
    ("tensorflow", "datasets", lambda: datasets.load("digits")),
    ("tensorflow_datasets", "datasets", lambda: datasets.load("mnist")),
    ("tensorflow_datasets", "datasets", lambda: datasets.info("mnist")),
    ("tensorflow_datasets", "datasets", lambda: datasets.is_prepared("mnist")),
    ("sklearn", "datasets", lambda: TrainingConfig.for_dataset("digits").load_data()),
    ("sklearn", "datasets", lambda: training.classification_metrics(None, [])),
    ("scipy", "datasets", lambda: losses.class_tree(np.eye(3))),
    ("matplotlib", "plot", lambda: visualization.confusion_matrix([[1, 0], [0, 1]])),
    ("scipy", "plot", lambda: visualization.goodness_densities(None)),
    ("matplotlib", "plot", train),
    ("matplotlib", "plot", lambda: report.write("digits_mlp_relu")),
    ("matplotlib", "plot", lambda: zoo.publish(None, "never-made", {"dataset": "digits"})),
    *[(name, "tensorboard", callbacks.FFTensorBoard) for name in ("tensorboard", "tensorflow")],
    *[(name, "tensorboard", callbacks.FFTensorBoard) for name in ("matplotlib", "sklearn")],
    *[(name, "tune", import_tuning) for name in ("keras_tuner", "tensorboard", "matplotlib")],
    ("psutil", "bench", lambda: next(iter(benchmarks.run("system")))),
    ("jax", "jax", lambda: next(iter(benchmarks.run("backends")))),
]


@pytest.mark.parametrize(("missing", "extra", "use"), USES)
def test_a_missing_extra_is_named_before_work_begins(
    missing, extra, use, monkeypatch, tmp_path, packaged_presets_alone
):
    monkeypatch.chdir(tmp_path)
    leave_out(monkeypatch, missing)
    with pytest.raises(extras.MissingExtraError) as caught:
        use(monkeypatch) if use is import_tuning else use()
    said = re.fullmatch(
        r"[A-Z][\w ]+ need (.+): pip install 'keras_ff\[(\w+)\]'\.", str(caught.value)
    )
    assert said.groups() == (extras.DISTRIBUTIONS.get(missing, missing), extra)
    assert said[1] in installed_by(EXTRAS[extra])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("matplotlib", ("train", "--out", "run")),
        ("tensorflow_datasets", ("train", "--dataset", "mnist", "--out", "run")),
        ("sklearn", ("evaluate", "digits_mlp_relu")),
    ],
)
def test_the_command_line_says_it_in_one_sentence(
    missing, words, monkeypatch, tmp_path, packaged_presets_alone
):
    monkeypatch.chdir(tmp_path)
    leave_out(monkeypatch, missing)
    assert re.search(r" need [\w-]+: pip install 'keras_ff\[\w+\]'\.", command_line.refused(*words))
    assert not list(tmp_path.iterdir())


# A program, run where packages cannot be imported.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(sys.argv[2:]))
runpy.run_path(sys.argv[1])
"""


@pytest.mark.slow
def test_the_core_works_with_a_backend_alone(tmp_path):
    backend = keras.backend.backend()
    without = set(OF_EXTRAS)
    if backend == "jax":
        without = without - {"scipy"} | {"tensorflow"}  # JAX itself needs scipy
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, ROOT / "tests/scripts/core_alone.py", *without],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["keras_ff"] == str(ROOT / "keras_ff" / "__init__.py")
    assert found["accuracy"] > 0.9 and found["loaded"] == found["accuracy"]
    assert found["preset"] == [2, 10]
    for extra, said in found["said"].items():
        assert re.fullmatch(rf"[A-Z].* need .+: pip install 'keras_ff\[{extra}\]'\.", said)
