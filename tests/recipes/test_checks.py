"""Options that do nothing in a family of networks: refused, and left out of commands."""

import shlex

import pytest

import keras_ff
from keras_ff.recipes import TrainingConfig
from keras_ff_cli import parser

LABELS = ("label_embedding", "label_strength")
NEGATIVES = ("negatives", "negatives_count")
# Options of networks, by the options that have no effect in them.
FAMILIES = [
    ({}, ()),
    ({"goodness": "class_groups"}, (*NEGATIVES, *LABELS)),
    ({"architecture": "cnn"}, (*NEGATIVES, *LABELS, "peer_normalization")),
    ({"negatives": "all_labels"}, ("negatives_count",)),
    ({"negatives": "hybrid_images", "readout": "softmax"}, LABELS),
]


@pytest.mark.parametrize(("chosen", "idle"), FAMILIES)
def test_commands_leave_out_what_does_nothing(chosen, idle):
    config = TrainingConfig.for_dataset("digits", **chosen)
    words = shlex.split(config.command())
    assert not set(idle) & set(config.options())
    for name in (*NEGATIVES, *LABELS, "peer_normalization"):
        assert ("--" + name.replace("_", "-") in words) == (name not in idle)
    for name in ("alpha", "threshold", "margin"):
        assert (f"--{name}" in words) == (name in keras_ff.losses.get(config.loss).get_config())
    # What it leaves out makes no difference.
    options = vars(parser.new().parse_args(words[1:]))
    del options["command"]
    assert TrainingConfig.for_dataset(**options) == config


@pytest.mark.parametrize("flip", [False, True, "alternating"])
def test_images_are_mirrored_by_one_option(flip):
    config = TrainingConfig.for_dataset("digits", flip=flip)
    options = vars(parser.new().parse_args(shlex.split(config.command())[1:]))
    assert options["flip"] == flip
    with pytest.raises(SystemExit):
        parser.new().parse_args(["train", "--no-flip", "alternating"])


@pytest.mark.parametrize(("chosen", "idle"), FAMILIES)
def test_what_is_chosen_and_does_nothing_is_refused(chosen, idle):
    base = TrainingConfig.for_dataset("digits", **chosen)
    for name in set(idle) - set(chosen):
        # Even where it says what holds anyway.
        option = {name: getattr(base, name)}
        for choose in (lambda **more: TrainingConfig.for_dataset("digits", **more), base.changed):
            with pytest.raises(ValueError, match=f"leave `{name}` out. Received: {name}="):
                choose(**{**chosen, **option})


def test_old_configurations_that_hold_such_options_are_read():
    config = TrainingConfig.for_dataset("digits", goodness="class_groups")
    old = {**config.to_dict(), "negatives": "hard_labels", "negatives_count": 9}
    assert TrainingConfig.from_dict(old).negatives_count == 9
    assert TrainingConfig.from_dict(old).command() == config.command()


def test_learning_without_labels_is_described_by_options():
    chosen = {"negatives": "hybrid_images", "readout": "softmax", "units": (16,)}
    model = TrainingConfig.for_dataset("digits", **chosen).new_model((8, 8, 1), 10, 5)
    assert model.unsupervised and model.label_embedding is None


def test_changes_imply_what_they_imply_for_a_dataset():
    config = TrainingConfig.for_dataset("digits", units=(20,), alpha=8.0)
    assert config.changed(threshold=2.0).loss == "logistic"
    groups = config.changed(goodness="class_groups")
    assert groups.loss == "sparse_categorical_crossentropy" and groups.alpha is None
    assert config.changed(epochs=2).alpha == 8.0
