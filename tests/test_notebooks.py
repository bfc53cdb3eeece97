"""Every notebook runs from top to bottom, and was kept as it ran."""

import pathlib

import nbclient
import nbformat
import pytest

FOLDER = pathlib.Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def test_there_are_notebooks():
    assert "05_tuning.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs(name):
    notebook = nbformat.read(FOLDER / name, as_version=4)
    # Raises where a cell does.
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}}
    ).execute()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_shows_what_came_of_one_run(name):
    cells = [
        cell
        for cell in nbformat.read(FOLDER / name, as_version=4).cells
        if cell.cell_type == "code"
    ]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs and all(output.output_type != "error" for output in outputs)
