"""Imports go one way: no circle, and none to the right of the design's order."""

import ast
import graphlib
import pathlib

import pytest

import keras_ff

ROOT = pathlib.Path(keras_ff.__file__).parent
# Folders and modules of one tier, with spaces between them, may import each other in any order
# without a circle.
ORDER = """
    utils backends version < activations goodness losses labels negatives normalizations optimizers
    < layers < fast < layer_schedules readouts < datasets presets < models < measurements
    < visualization < callbacks distribution recipes training outliers < tuning zoo < report < lab
    < cli
"""
TIERS = {name: tier for tier, names in enumerate(ORDER.split("<")) for name in names.split()}
# The package itself, and other names for what lies elsewhere.
OUTSIDE = {"", "experiments", "learning_rates"}


def modules(root):
    """The files of a package by the dotted names of their modules."""
    found = {}
    for path in root.rglob("*.py"):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path, module, known):
    """The modules out of `known` that a file imports, and in which line."""
    inner = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = inner.split(".")[: len(inner.split(".")) - node.level + 1]
            base = ".".join([*(parent if node.level else []), *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in known else base for name in names]
        for name in names:
            if name in known and name != module:
                yield name, node.lineno


def folder(module):
    """The folder, or the module beside folders, that a module belongs to; "" for the package."""
    return module.partition(".")[2].partition(".")[0]


def to_the_right(root):
    """Sentences that name each import to the right, and its file."""
    found, known = [], modules(root)
    for module, path in known.items():
        own = folder(module)
        if own in OUTSIDE:
            continue
        for name, line in imports(path, module, known):
            other = folder(name)
            if other != "" and TIERS.get(other, len(TIERS)) > TIERS[own]:
                found.append(f"{path.relative_to(root.parent)}:{line} imports {name}")
    return found


def circle(root):
    """The modules of a circle of imports, in their order, or an empty list."""
    known = modules(root)
    graph = {
        module: {name for name, _ in imports(path, module, known)} for module, path in known.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_every_module_has_its_place():
    places = {folder(module) for module in modules(ROOT)}
    assert places <= {*TIERS, *OUTSIDE}


def test_no_import_to_the_right():
    found = to_the_right(ROOT)
    assert not found, "\n".join(found)


def test_no_circle():
    assert circle(ROOT) == []


@pytest.fixture
def package(tmp_path):
    """A small package of two folders, in order."""
    for name in ("losses", "zoo"):
        (tmp_path / "keras_ff" / name).mkdir(parents=True)
        (tmp_path / "keras_ff" / name / "__init__.py").write_text("")
    (tmp_path / "keras_ff" / "__init__.py").write_text("")
    (tmp_path / "keras_ff" / "zoo" / "one.py").write_text("from keras_ff import losses\n")
    return tmp_path / "keras_ff"


@pytest.mark.parametrize(
    "line",
    ["from keras_ff.zoo import one", "import keras_ff.zoo.one", "from ..zoo import one"],
)
def test_a_bad_import_within_a_function_is_found(package, line):
    assert to_the_right(package) == circle(package) == []
    (package / "losses" / "__init__.py").write_text(f"def f():\n    {line}\n")
    assert to_the_right(package) == ["keras_ff/losses/__init__.py:2 imports keras_ff.zoo.one"]
    assert set(circle(package)) == {"keras_ff.losses", "keras_ff.zoo.one"}
