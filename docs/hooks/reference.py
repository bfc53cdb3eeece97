"""The API reference: a page for each public module, with every name in it."""

import ast
import pathlib

PACKAGE = pathlib.Path(__file__).parents[2] / "keras_ff"
# Of no use to those who use the library: its inside, and other names of what is elsewhere.
INSIDE = {"backends", "experiments", "fast", "lab", "presets", "utils", "version"}


def modules():
    """Names of the public modules within `keras_ff`, in alphabetical order."""
    paths = [path.parent for path in PACKAGE.glob("*/__init__.py")] + list(PACKAGE.glob("*.py"))
    names = {path.stem for path in paths if not path.stem.startswith("_")}
    return sorted(names - INSIDE)


def names(module):
    """The public names of a module: those of `__all__` or, without it, all that it has.

    What a package imports it exports; what a module of one file imports it uses.
    """
    exports, found = _file(module).name == "__init__.py", []
    for node in _tree(module).body:
        if isinstance(node, ast.ImportFrom) and exports and node.module.startswith("keras_ff"):
            inner = node.module.removeprefix("keras_ff").strip(".")
            found += [
                each.asname or each.name
                for each in node.names
                if not _file(f"{inner}.{each.name}").exists()
            ]
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += _targets(node)
            if found[-1:] == ["__all__"]:
                return [element.value for element in node.value.elts]
    return [name for name in found if not name.startswith("_")]


def page(module):
    """A module's page: what it is for, its classes and functions, then its constants."""
    known = sorted(names(module), key=str.lower)
    options = "    options:\n      members: false\n      show_root_heading: false"
    parts = [f"# keras_ff.{module}", f"::: keras_ff.{module}\n{options}"]
    parts += [f"::: keras_ff.{module}.{name}" for name in known if not name.isupper()]
    constants = [assignment(module, name) for name in known if name.isupper()]
    if constants:
        parts += ["## Constants", "```python\n" + "\n".join(dict.fromkeys(constants)) + "\n```"]
    return "\n\n".join(parts) + "\n"


def assignment(module, name):
    """The statement that gives a constant its value."""
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and name in _targets(node):
            return ast.get_source_segment(_file(module).read_text(encoding="utf-8"), node)
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                if (each.asname or each.name) == name:
                    return assignment(node.module.removeprefix("keras_ff."), each.name)
    raise LookupError(f"keras_ff.{module} has no constant {name}")


def on_config(config):
    """List the pages in the navigation."""
    listed = [{module: f"reference/{module}.md"} for module in modules()]
    for entry in config.nav:
        if entry.get("API reference") == "reference/":
            entry["API reference"] = ["reference/index.md", *listed]
    return config


def on_files(files, config):
    """Add the pages."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "reference/index.md", content=index()))
    for module in modules():
        files.append(File.generated(config, f"reference/{module}.md", content=page(module)))
    return files


def index():
    """The list of modules, each with the first sentence about it."""
    rows = []
    for module in modules():
        about = (ast.get_docstring(_tree(module)) or "").split("\n\n")[0].replace("\n", " ")
        rows.append(f"| [`keras_ff.{module}`]({module}.md) | {about} |")
    head = "# API reference\n\n`keras_ff.FFModel` is [`keras_ff.models.FFModel`](models.md).\n\n"
    return head + "| module | what it holds |\n|---|---|\n" + "\n".join(rows) + "\n"


def _file(module):
    path = PACKAGE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _tree(module):
    return ast.parse(_file(module).read_text(encoding="utf-8"))


def _targets(node):
    each = [inner for target in node.targets for inner in getattr(target, "elts", [target])]
    return [target.id for target in each if isinstance(target, ast.Name)]
