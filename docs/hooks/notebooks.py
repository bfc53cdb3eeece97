"""The notebooks as pages, with the outputs that they were committed with."""

import ast
import base64
import json
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# What the functions that notebooks define draw; all others say it in their docstrings.
DRAWN_BY = {"drawn": "Validation accuracy by epoch, a curve for each way of training."}


def on_config(config):
    """List the notebooks in the navigation."""
    listed = [{title(load(path)): f"notebooks/{path.stem}.md"} for path in NOTEBOOKS]
    for entry in config.nav:
        if entry.get("Notebooks") == "notebooks/":
            entry["Notebooks"] = listed
    return config


def on_files(files, config):
    """Add a page for each notebook, and its pictures."""
    from mkdocs.structure.files import File

    for path in NOTEBOOKS:
        text, pictures = page(load(path), path.stem)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def title(notebook):
    """The first heading."""
    return source(notebook["cells"][0]).splitlines()[0].removeprefix("# ")


def page(notebook, stem):
    """A notebook as Markdown, and its pictures by name."""
    parts, pictures, heading = [], {}, title(notebook)
    for cell in notebook["cells"]:
        text = source(cell)
        if cell["cell_type"] == "markdown":
            heading = ([heading] + re.findall(r"(?m)^#+ (.*)$", text))[-1]
            parts.append(text)
            if cell is notebook["cells"][0]:
                parts.append(f"*This page is the notebook `notebooks/{stem}.ipynb`, as it ran.*")
            continue
        parts.append(f"```python\n{text}\n```")
        shown = iter(descriptions(text))
        for output in cell["outputs"]:
            image = output.get("data", {}).get("image/png")
            if image is not None:
                name = f"{stem}_{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(image))
                parts.append(f"![{heading}. {next(shown)}]({name})")
            else:
                printed = output.get("text") or output["data"]["text/plain"]
                parts.append("```text\n" + "".join(printed).rstrip() + "\n```")
    return "\n\n".join(parts) + "\n", pictures


def descriptions(code):
    """What each picture of a cell shows, in the order of the calls that draw them."""
    calls = re.findall(r"(?m)(?<!def )\b(?:(visualization|tuning)\.)?(\w+)\(", code)
    found = []
    for module, function in calls:
        path = f"visualization/{function}.py" if module == "visualization" else "tuning/pictures.py"
        if function in DRAWN_BY:
            found.append(DRAWN_BY[function])
        elif module and (ROOT / "keras_ff" / path).exists():
            tree = ast.parse((ROOT / "keras_ff" / path).read_text(encoding="utf-8"))
            found += [
                ast.get_docstring(node).split("\n\n")[0].replace("\n", " ")
                for node in tree.body
                if isinstance(node, ast.FunctionDef) and node.name == function
            ]
    return found


def source(cell):
    return "".join(cell["source"])
