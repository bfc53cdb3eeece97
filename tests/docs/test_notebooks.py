"""Every notebook runs from top to bottom, and was kept as it ran."""

import re

import matplotlib
import nbformat
import pytest
from ipykernel.inprocess.manager import InProcessKernelManager

from tests.helpers import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
# A reader waits for minutes, which a test of the code need not.
SHORTER = (
    (r"\bepochs=\d+", "epochs=2"),
    (r"\bEPOCHS = \d+", "EPOCHS = 2"),
    (r"initial_epoch=\d+, epochs=\d+", "initial_epoch=2, epochs=3"),
    (r"trials=\d+", "trials=2"),
    (r"batch_size=64", "batch_size=512"),
    (r"for_dataset\(", "for_dataset(batch_size=512, "),
)


def shortened(source):
    """The source of a cell with less to train."""
    for pattern, shorter in SHORTER:
        source = re.sub(pattern, shorter, source)
    return source


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


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.usefixtures("eager_functions")
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs(name, kernel, monkeypatch):
    monkeypatch.chdir(FOLDER)
    for cell in nbformat.read(FOLDER / name, as_version=4).cells:
        if cell.cell_type == "code":
            kernel.execute(shortened(cell.source))
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
