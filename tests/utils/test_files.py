"""Paths, and files that are written whole or not at all."""

import pathlib

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


def test_an_empty_path_is_refused():
    with pytest.raises(ValueError, match=r"must not be empty. Received: ''"):
        files.path_of("")
    assert files.path_of(".") == pathlib.Path(".")
