"""Imports go one way: no circle, and none to the right of the design's order."""

import ast
import graphlib
import pathlib
import sys

import pytest

import keras_ff
import keras_ff_cli

ROOT = pathlib.Path(keras_ff.__file__).parent
# The parser and what starts a command: this and the standard library is all that it imports.
PARSER = pathlib.Path(keras_ff_cli.__file__).parent
# Who may import that in turn.
STARTED = {"version", "cli"}
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


def outside_functions(node):
    """What of a file's nodes is executed when it is imported."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from outside_functions(child)


def imports(path, module, known, nodes=ast.walk):
    """The modules out of `known` that a file imports, and in which line."""
    inner = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
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


def packages(path, nodes=ast.walk):
    """The packages that a file imports, each with the line."""
    for node in nodes(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or PARSER.name]
        for name in names:
            yield name.partition(".")[0], node.lineno


def beyond_the_standard_library(root):
    """Sentences that name each import from elsewhere, and its file."""
    return [
        f"{path.relative_to(root.parent)}:{line} imports {name}"
        for path in root.rglob("*.py")
        for name, line in packages(path)
        if name not in {*sys.stdlib_module_names, root.name}
    ]


def test_the_parser_imports_the_standard_library_alone():
    assert len(list(PARSER.rglob("*.py"))) > 10
    found = beyond_the_standard_library(PARSER)
    assert not found, "\n".join(found)
    assert not list(circle(PARSER))


def test_the_parser_is_known_to_the_version_and_the_commands_alone():
    knowing = {
        folder(module)
        for module, path in modules(ROOT).items()
        if PARSER.name in {name for name, _ in packages(path)}
    }
    assert knowing == STARTED


def test_an_import_within_a_function_of_the_parser_is_found(tmp_path):
    root = tmp_path / "keras_ff_cli"
    root.mkdir()
    (root / "one.py").write_text("import os\nfrom . import two\n")
    assert beyond_the_standard_library(root) == []
    (root / "two.py").write_text("def f():\n    from keras_ff.cli import train\n")
    assert beyond_the_standard_library(root) == ["keras_ff_cli/two.py:2 imports keras_ff"]


def at_import(root):
    """The modules of a package that importing it imports, with their files."""
    known, found, waiting = modules(root), {}, [root.name]
    while waiting:
        module = waiting.pop()
        if module and module not in found:
            found[module] = known[module]
            waiting += [
                name for name, _ in imports(known[module], module, known, outside_functions)
            ]
            waiting.append(module.rpartition(".")[0])
    return found


def test_importing_the_package_takes_keras_numpy_and_a_backend():
    """The tools, and what else they need, are imported when they are first asked for."""
    found = at_import(ROOT)
    assert {"keras_ff.layers.ff_layer", "keras_ff.backends.jax"} <= set(found)
    core = {"keras", "numpy", ROOT.name, PARSER.name, *sys.stdlib_module_names}
    beyond = [
        f"{module} imports {name}"
        for module, path in found.items()
        for name, _ in packages(path, outside_functions)
        if name not in core and folder(module) != "backends"
    ]
    assert not beyond, "\n".join(beyond)


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
