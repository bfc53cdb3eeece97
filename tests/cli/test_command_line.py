"""The command line: help, version, and sentences for what is wrong."""

import argparse
import inspect
import pkgutil
import shlex

import pytest

import keras_ff
from keras_ff import distribution
from keras_ff.cli import printing
from keras_ff.lab import benchmarks
from keras_ff_cli import names, parser
from tests.helpers.command_line import Command, refused


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


def test_warnings_are_sentences_too(tmp_path):
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "metadata.json").write_text("{")
    command = Command("zoo", "list", "--folder", tmp_path)
    assert command.code == 0
    assert command.err.startswith("keras-ff: A preset was left out: ")
    assert command.err.count("\n") == 1


@pytest.mark.parametrize("words", [(), ("train",), ("evaluate",)])
def test_help_lists_the_options(words):
    command = Command(*words, "--help")
    assert command.code == 0 and command.err == ""
    assert "usage: keras-ff" in command.out


@pytest.mark.parametrize(
    ("listed", "known"),
    [
        (names.LABELS, keras_ff.labels.KNOWN),
        (names.READOUTS, keras_ff.readouts.KNOWN),
        (names.GOODNESS, keras_ff.goodness.KNOWN),
        (names.LOSSES, keras_ff.losses.KNOWN),
        (names.NEGATIVES, keras_ff.negatives.KNOWN),
        (names.LAYER_SCHEDULES, keras_ff.layer_schedules.KNOWN),
        (names.DISTRIBUTIONS, distribution.KNOWN),
        (names.BENCHMARKS, benchmarks.BENCHES),
    ],
)
def test_the_names_in_the_help_are_the_valid_ones(listed, known):
    assert listed == tuple(known)
    command = "bench" if listed is names.BENCHMARKS else "train"
    text = " ".join(Command(command, "--help").out.split())
    assert names.listed(listed) in text or " or ".join(listed) in text


def test_without_a_command_there_is_a_sentence():
    assert "COMMAND" in refused()


def test_version():
    assert Command("--version").out == f"keras-ff {keras_ff.__version__}\n"


def options_of(parser, words=()):
    """All options of a parser and its commands, each with the words that lead to it."""
    for action in parser._actions:
        yield words, action
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from options_of(command, (*words, name))


def commands_of(parser_, words=()):
    """The parsers that name a function, each with the words that lead to it."""
    if parser_.get_default("command") is not None:
        yield words, parser_
    for action in parser_._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from commands_of(command, (*words, name))


@pytest.mark.parametrize(
    "command", [one for _, one in commands_of(parser.new())], ids=lambda one: one.prog
)
def test_functions_take_the_options_of_their_commands(command):
    function = pkgutil.resolve_name(command.get_default("command"))
    values = {action.dest: None for action in command._actions if action.dest != "help"}
    inspect.signature(function).bind(**values)


PATHS = [
    (*words, *(action.option_strings[:1] or [action.dest]))
    for words, action in options_of(parser.new())
    if action.metavar in ("FOLDER", "FILE", "RUN")
]


def test_these_options_are_paths():
    assert len(PATHS) > 20
    assert {words[0] for words in PATHS} == {
        command.__name__.rpartition(".")[2] for command in parser.COMMANDS
    }


@pytest.mark.parametrize("words", PATHS, ids=" ".join)
def test_home_is_expanded_and_an_empty_path_refused(words, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (action,) = [
        action
        for before, action in options_of(parser.new())
        if (*before, *(action.option_strings[:1] or [action.dest])) == words
    ]
    assert action.type("~/mine") == tmp_path / "mine"
    with pytest.raises(argparse.ArgumentTypeError, match="must not be empty"):
        action.type("")


@pytest.mark.parametrize(
    "words",
    [("train",), ("tune",), ("report", "x"), ("zoo", "train", "digits_mlp_relu"), ("zoo", "join")],
)
def test_an_empty_folder_is_refused(words, tmp_path, monkeypatch):
    """It would mean the current folder."""
    monkeypatch.chdir(tmp_path)
    option = "--to" if words == ("zoo", "join") else "--out"
    assert f"argument {option}: A path must not be empty" in refused(*words, option, "")
    assert not list(tmp_path.iterdir())


def test_printed_commands_are_quoted_for_the_shell(tmp_path, monkeypatch):
    """A shell reads the words again that were meant."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my runs; $HOME"
    folder.mkdir()
    assert shlex.split(printing.command("keras-ff", "train", folder))[2] == str(folder)
    hint = printing.how_to_find(folder, "a b").partition("export ")[2]
    assert shlex.split(hint) == [f"KERAS_FF_ZOO={folder}"]
    (tmp_path / "runs" / "a b").mkdir(parents=True)
    (tmp_path / "runs" / "a b" / "config.json").write_text("{}")
    assert "--out 'runs/a b'." in refused("train", "--resume")


def test_a_run_and_a_search_say_how_they_are_resumed(tmp_path, monkeypatch):
    from keras_ff import training, tuning

    def stop(*arguments, **options):
        raise ValueError("far enough")

    monkeypatch.setattr(training, "train", stop)
    monkeypatch.setattr(tuning, "tune", stop)
    folder, data = tmp_path / "my run", tmp_path / "my data"
    out = Command("train", "--out", folder, "--data-dir", data, "--distribution", "devices").out
    words = shlex.split(out.partition("interrupted: ")[2].removesuffix(")\n"))
    assert words[:5] == ["keras-ff", "train", "--resume", "--out", str(folder)]
    assert words[5:] == ["--data-dir", str(data), "--distribution", "devices"]
    out = Command("tune", "--out", folder).out
    assert shlex.split(out.partition("add ")[2].removesuffix(")\n")) == [
        "--resume",
        "--out",
        str(folder),
    ]


def test_the_help_lists_the_exit_codes():
    text = " ".join(Command("--help").out.split())
    assert "Exit codes: 0 it went well; 1 `zoo evaluate` found a preset" in text
    assert "130 interrupted; 141" in text
