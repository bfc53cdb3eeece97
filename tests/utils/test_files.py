"""Paths, and files that are written whole or not at all."""

import errno
import pathlib
import subprocess
import sys

import pytest

from keras_ff.utils import files


def test_home_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("~/a/b", pathlib.Path("~/a/b")):
        assert files.path_of(path) == tmp_path / "a" / "b"
    assert files.path_of("~") == tmp_path
    # As in a shell, these are names.
    for path in ("a/~", "./~", "~nobody-of-this-name/a"):
        assert files.path_of(path) == pathlib.Path(path)


def full(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("moment", ["write", "flush", "replace"])
def test_on_a_full_disk_a_file_stays_as_it_was(moment, tmp_path, monkeypatch):
    path = tmp_path / "model.bin"
    path.write_bytes(b"before")

    def write(temporary):
        temporary.write_bytes(b"aft")
        if moment == "write":
            full()

    if moment == "flush":
        monkeypatch.setattr(files.os, "fsync", full)
    if moment == "replace":
        monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_whole(path, write)
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["model.bin"]


def test_a_folder_is_held_by_one_at_a_time(tmp_path):
    folder = tmp_path / "new" / "run"
    program = f"""
import pathlib
from keras_ff.utils.files import held
with held(pathlib.Path({str(folder)!r})):
    pass
"""
    program = program.replace("from keras_ff.utils.files import held", _alone())
    with files.held(folder):
        assert folder.is_dir()
        with pytest.raises(ValueError, match=r"Another process is at work in .*run"):
            files.held(folder).__enter__()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert "Another process is at work" in done.stderr
    assert not folder.parent.exists()  # it stayed empty
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with files.held(folder):
        (folder / "kept").touch()
    assert [one.name for one in folder.iterdir()] == ["kept"]


def _alone():
    """The module by itself, which takes no seconds to import."""
    return f"import runpy\nheld = runpy.run_path({files.__file__!r})['held']"


def test_a_folder_is_free_again_after_a_kill(tmp_path):
    program = f"""
import os, pathlib, signal
{_alone()}
with held(pathlib.Path({str(tmp_path)!r})):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -9
    with files.held(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_where_folders_cannot_be_locked_they_are_not_held(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with files.held(tmp_path), files.held(tmp_path):
        pass


def test_an_empty_path_is_refused():
    with pytest.raises(ValueError, match=r"must not be empty. Received: ''"):
        files.path_of("")
    assert files.path_of(".") == pathlib.Path()
