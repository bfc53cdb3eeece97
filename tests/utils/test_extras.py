"""What is missing is said in one sentence, with the command that installs it."""

import sys

import pytest

from keras_ff.utils import extras
from tests.helpers.missing import leave_out


def test_nothing_is_said_where_nothing_is_missing_and_nothing_is_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    extras.require("Poems", "all", "this", "numpy")
    assert "this" not in sys.modules


def test_what_is_missing_is_named_as_pip_names_it(monkeypatch):
    leave_out(monkeypatch, "tensorflow_datasets", "sklearn")
    with pytest.raises(extras.MissingExtraError) as caught:
        extras.require("Datasets by name", "datasets", "numpy", "sklearn", "tensorflow_datasets")
    assert str(caught.value) == (
        "Datasets by name need scikit-learn and tensorflow-datasets: "
        "pip install 'keras_ff[datasets]'."
    )
    assert caught.value.name == "sklearn"


@pytest.mark.parametrize("kind", [ImportError, ValueError])
def test_it_is_caught_as_either_error(kind):
    with pytest.raises(kind, match=r"Poems need no_such_package: pip install 'keras_ff\[all\]'\."):
        extras.require("Poems", "all", "no_such_package")
