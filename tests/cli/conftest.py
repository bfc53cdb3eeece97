"""A run that tests of the command line share."""

import contextlib

import pytest

from tests.helpers.command_line import SMALL, Command


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished `keras-ff train`, and the folder it worked in."""
    folder = tmp_path_factory.mktemp("work")
    with contextlib.chdir(folder):
        command = Command("train", *SMALL, "--seed", "3")
    (run,) = (folder / "runs").iterdir()
    return command, run
