"""Every notebook runs from top to bottom, and was kept as it ran."""

import matplotlib
import nbformat
import pytest
from ipykernel.inprocess.manager import InProcessKernelManager

from tests.helpers import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


def test_there_are_notebooks():
    assert "05_tuning.ipynb" in NOTEBOOKS


@pytest.fixture
def kernel():
    """A client of a kernel in this process, which has imported already what takes its time."""
    manager = InProcessKernelManager()
    manager.start_kernel()
    with matplotlib.rc_context():
        yield manager.client()
    manager.shutdown_kernel()


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs(name, kernel, monkeypatch):
    monkeypatch.chdir(FOLDER)
    for cell in nbformat.read(FOLDER / name, as_version=4).cells:
        if cell.cell_type == "code":
            kernel.execute(cell.source)
            reply = kernel.get_shell_msg()["content"]
            assert reply["status"] == "ok", "\n".join(reply["traceback"])


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
