"""The command line: help, version, and sentences for what is wrong."""

import pytest

from keras_ff.version import __version__
from tests.helpers.command_line import SMALL, Command, refused


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--dataset", "digit"), "'digits'"),
        (("--activation", "rellu"), "Did you mean 'relu'"),
        (("--goodness", "sum_of_square"), "Did you mean 'sum_of_squares'"),
        (("--loss", "logistics"), "Did you mean 'logistic'"),
        (("--negatives", "random_label"), "Did you mean 'random_labels'"),
        (("--readout", "softmaxx"), "Did you mean 'softmax'"),
        (("--layer-schedule", "greedily"), "Did you mean 'greedy'"),
        (("--label-embedding", "apend"), "Did you mean 'append'"),
        (("--normalization", "lenght"), "Did you mean 'length'"),
        (("--threshold", "learnt"), "'learned'"),
        (("--dtype-policy", "float31"), "float31"),
        (("--loss", "symba", "--threshold", "2"), "'symba' has no threshold"),
        (("--threshold", "1,2", "--layers", "3"), "one number per layer, 3 here"),
        (("--negatives-count", "10"), "at most 9 wrong labels"),
        (("--units", "20,30", "--layers", "3"), "units=20,30"),
        (("--seed", "-1"), "seed=-1"),
        (("--units", "wide"), "--units: invalid integer or list of integers value: 'wide'"),
        (("--epoch", "3"), "unrecognized arguments: --epoch 3"),
    ],
)
def test_wrong_options_end_with_a_sentence(words, sentence, tmp_path):
    assert sentence in refused("train", *words, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_warnings_are_sentences_too(tmp_path):
    words = (*SMALL[2:], "--layers", "3", "--units", "8", "--layer-schedule", "greedy")
    command = Command("train", *words, "--out", tmp_path / "run")
    assert command.code == 0
    assert command.err.startswith("keras-ff: Greedy training over 2 epochs reaches layer 2 of 3")
    assert command.err.count("\n") == 1


@pytest.mark.parametrize("words", [(), ("train",), ("evaluate",)])
def test_help_lists_the_options(words):
    command = Command(*words, "--help")
    assert command.code == 0 and command.err == ""
    assert "usage: keras-ff" in command.out


def test_the_names_in_the_help_are_the_valid_ones():
    text = Command("train", "--help").out
    for names in ("logistic, symba, label_softmax", "greedy, simultaneous", "append, overlay"):
        assert names in " ".join(text.split())


def test_without_a_command_there_is_a_sentence():
    assert "COMMAND" in refused()


def test_version():
    assert Command("--version").out == f"keras-ff {__version__}\n"


def text(model, path):
    path.write_text("not a model\n")
