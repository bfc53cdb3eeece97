"""The documentation site: what its pages are made of, and that it builds without a warning."""

import html
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys

import pytest

import keras_ff
from tests.helpers import ROOT


def hook(name):
    """A module of docs/hooks, which is no package."""
    path = ROOT / "docs" / "hooks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"docs_hooks_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference, repository, notebooks = map(hook, ("reference", "repository", "notebooks"))


def exported(name):
    """The public names of a module, as Python sees them."""
    module = importlib.import_module(f"keras_ff.{name}")
    if hasattr(module, "__all__"):
        return set(module.__all__)
    # A package exports what it imports, a module of one file what it defines.
    origin = "keras_ff" if hasattr(module, "__path__") else module.__name__
    return {
        each
        for each, value in vars(module).items()
        if not each.startswith("_")
        and (each.isupper() or getattr(value, "__module__", "").startswith(origin))
    }


def test_the_reference_has_every_public_module():
    modules = {name for name in keras_ff.__all__ if inspect.ismodule(getattr(keras_ff, name))}
    assert len(modules) > 15
    assert modules | {"tuning", "normalizations", "optimizers"} <= set(reference.modules())


@pytest.mark.parametrize("module", reference.modules())
def test_a_page_of_the_reference_has_every_public_name(module):
    page = reference.page(module)
    listed = set(re.findall(rf"(?m)^::: keras_ff\.{module}\.(\w+)$", page))
    constants = set(re.findall(r"\b[A-Z][A-Z_]+\b", page))
    assert exported(module) <= listed | constants
    assert exported(module) == set(reference.names(module))


def test_links_between_files_become_links_between_pages():
    def linked(text, origin="docs/scaling.md", uri="scaling.md"):
        return repository.linked(text, origin, uri)

    assert linked("[b](../benchmarks/RESULTS.md#x)") == "[b](benchmarks.md#x)"
    assert linked("[c](../zoo/digits_mlp_relu/README.md)") == "[c](zoo/digits_mlp_relu.md)"
    assert linked("[n](../notebooks/06_zoo.ipynb)") == "[n](notebooks/06_zoo.md)"
    # In the repository but not in the site: named. Nowhere: left, for the strict build to refuse.
    assert linked("[`a.py`](../keras_ff/activations.py)") == "`a.py`"
    assert linked("[a](../nowhere.md)") == "[a](../nowhere.md)"
    assert linked("[a](https://example.org)") == "[a](https://example.org)"
    # Code stays what it is.
    assert linked("```\n[b](../ZOO.md)\n```") == "```\n[b](../ZOO.md)\n```"
    card = repository.linked(
        "![p](filters.png) [o](../other/README.md)", "zoo/digits_mlp_relu/README.md", "zoo/d.md"
    )
    assert card.startswith("![p](digits_mlp_relu/filters.png)")
    home = repository.linked("[h](../README.md)", "benchmarks/RESULTS.md", "benchmarks.md")
    assert home == "[h](index.md)"


@pytest.mark.parametrize("path", notebooks.NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_a_page_whose_pictures_say_what_they_show(path):
    notebook = notebooks.load(path)
    text, pictures = notebooks.page(notebook, path.stem)
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    assert len(pictures) == sum("image/png" in output.get("data", {}) for output in outputs)
    for name, content in pictures.items():
        assert content.startswith(b"\x89PNG")
        (described,) = re.findall(rf"!\[([^\]]*)\]\({name}\)", text)
        assert len(described.split()) > 5


def test_pictures_of_the_docs_say_what_they_show():
    for path in (ROOT / "docs").glob("*.md"):
        for described in re.findall(r"!\[([^\]]*)\]", path.read_text(encoding="utf-8")):
            assert len(described.split()) > 8, path.name


def test_examples_and_call_arguments_are_markdown():
    pytest.importorskip("griffe")
    markdown = hook("docstrings").markdown
    text = markdown("Says.\n\nCall arguments:\n    x: a tensor,\n        any.\n\n>>> 1 + 1\n2\n")
    assert "- **`x`**: a tensor,\n  any." in text
    assert "```pycon\n>>> 1 + 1\n2\n```" in text


NEEDED = ("mkdocs", "material", "mkdocstrings")


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, NEEDED)), reason="pip install -e '.[docs]' for the site"
)
def test_the_site_builds_and_needs_no_other_site(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path: path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")}
    assert len(pages) > 100
    for path, page in pages.items():
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]* src=\"?([^\"\s>]+)", page)
        loaded += re.findall(r"<link[^>]*rel=\"?stylesheet\"?[^>]*href=\"?([^\"\s>]+)", page)
        assert not [link for link in loaded if re.match(r"(https?:)?//", link)], path
        for picture in re.findall(r"<img[^>]*>", page):
            assert re.search(r"alt=\"[^\"]{5,}\"", html.unescape(picture)), (path, picture)
    for module in reference.modules():
        page = pages[tmp_path / "reference" / f"{module}.html"]
        for name in reference.names(module):
            assert f'id="keras_ff.{module}.{name}"' in page or name.isupper(), name
