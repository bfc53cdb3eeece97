"""TrainingConfig: recipes, choices, commands, JSON."""

import json
import shlex

import keras
import pytest

import keras_ff
from keras_ff import cli, datasets, recipes, training
from keras_ff.recipes import TrainingConfig

SMALL = {"units": (24, 16), "epochs": 4, "batch_size": 256, "learning_rate": 0.01}


def small(**changes):
    return TrainingConfig.for_dataset("digits", **{**SMALL, **changes})


def test_a_recipe_suits_its_dataset_and_choices_win():
    digits = TrainingConfig.for_dataset("digits")
    recipe = recipes.DEFAULTS["digits"]
    assert {name: getattr(digits, name) for name in recipe} == recipe
    assert TrainingConfig.for_dataset("digits", epochs=3).epochs == 3


def test_negatives_of_a_recipe_fit_the_number_of_classes(monkeypatch):
    two = datasets.DatasetInfo("two", (8, 8, 1), 2, ("a", "b"), "1")
    monkeypatch.setattr(datasets, "info", lambda name, data_dir=None: two)
    assert TrainingConfig.for_dataset("two").negatives_count == 1
    assert TrainingConfig.for_dataset("two", negatives_count=3).negatives_count == 3


@pytest.mark.parametrize(
    ("units", "layers", "expected"),
    [
        (None, None, (300, 300, 300)),
        (None, 2, (300, 300)),
        (50, None, (50, 50, 50)),
        (50, 2, (50, 50)),
        ((50, 40), None, (50, 40)),
        ([50, 40], 2, (50, 40)),
    ],
)
def test_layers_and_units(units, layers, expected):
    chosen = {} if units is None else {"units": units}
    assert TrainingConfig.for_dataset("digits", layers=layers, **chosen).units == expected


@pytest.mark.parametrize("chosen", [{"threshold": 2.0}, {"margin": 0.5}])
def test_a_threshold_or_a_margin_implies_the_logistic_loss(chosen):
    config = TrainingConfig.for_dataset("digits", **chosen)
    assert config.loss == "logistic"
    assert config.alpha is None
    assert config.threshold == chosen.get("threshold", "auto")
    assert config.margin == chosen.get("margin", 0.0)


def test_the_steepness_of_a_recipe_belongs_to_its_loss_and_goodness(monkeypatch):
    monkeypatch.setitem(recipes.DEFAULTS, "digits", {"alpha": 32.0})
    for_digits = TrainingConfig.for_dataset
    assert for_digits("digits").alpha == 32.0
    assert for_digits("digits", goodness="sum_of_squares").alpha == "auto"
    assert for_digits("digits", loss="symba").alpha == "auto"
    assert for_digits("digits", loss="symba", alpha=4.0).alpha == 4.0
    assert for_digits("digits", loss="logistic").alpha is None


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"loss": "symba", "threshold": 2.0}, "'symba' has no threshold; 'logistic' has one"),
        ({"loss": "label_softmax", "margin": 1.0}, "'label_softmax' has no margin"),
        ({"loss": "logistic", "alpha": 4.0}, "'symba' and 'label_softmax' have one"),
        ({"layers": 3, "units": (5, 6)}, "each of the 3 layers. Received: layers=3, units=5,6"),
        ({"units": ()}, "at least one"),
        ({"units": (5, 0)}, "units=0"),
        ({"layers": 0}, "layers=0"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 2.5}, "batch_size=2.5"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"weight_averaging": 1.0}, "weight_averaging=1.0"),
        ({"loss": "symbaa"}, "Did you mean 'symba'"),
        ({"epoch": 3}, "no option 'epoch'. Did you mean 'epochs'"),
        ({"readout": "softmax", "readout_epochs": 0}, "readout_epochs=0"),
        ({"readout_epochs": 2}, "Received: readout='goodness', readout_epochs=2"),
        (
            {"negatives": "hard_labels", "readout": "softmax", "readout_epochs": 2},
            "learns beside the layers",
        ),
    ],
)
def test_configurations_that_cannot_be_are_refused(chosen, words):
    with pytest.raises(ValueError) as caught:
        TrainingConfig.for_dataset("digits", **chosen)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"units": (30, 20), "loss": "logistic", "threshold": (1.0, 2.5), "margin": 0.1},
        {"flip": True, "standardize": False, "image_size": (16, 16), "goodness": "sum_of_squares"},
        {"threshold": "learned", "seed": 5},
        {"units": (24,)},  # one layer, not the usual three of this width
        {"threshold": -1e-05},
        {"threshold": (-1.5, -1e-05, 0.25)},
        {"architecture": "cnn", "clip_norm": None},
        {"architecture": "resnet", "units": (24,)},
        {"readout": "softmax_of_averages", "readout_epochs": 2},
        {
            "architecture": "cnn",
            "whitening": 2,
            "coarse_classes": (2, 5),
            "free_units": ("all", 0, 0.25, 10, 0),
            "similarity_matching": 40.0,
            "readout": "joint",
            "readout_epochs": 2,
        },
        {"architecture": "cnn", "goodness": "local_classifier", "classifier_regions": 2},
    ],
)
def test_the_command_of_a_configuration_leads_back_to_it(chosen, monkeypatch, tmp_path):
    config = TrainingConfig.for_dataset("digits", **chosen)
    reached = []

    def train(config, *args, **kwargs):
        reached.append(config)
        raise ValueError("far enough")

    monkeypatch.setattr(training, "train", train)
    words = shlex.split(config.command())
    assert words[0] == "keras-ff"
    assert cli.main([*words[1:], "--out", str(tmp_path)]) == 2
    assert reached == [config]


def test_a_configuration_survives_json():
    config = TrainingConfig.for_dataset("digits", loss="logistic", threshold=[1.0, 2.0, 3.0])
    assert config.threshold == (1.0, 2.0, 3.0)
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="not a TrainingConfig"):
        TrainingConfig.from_dict({"depth": 3})


def test_the_model_is_what_the_configuration_says():
    config = small(
        activation="tanh",
        goodness="sum_of_squares",
        loss="logistic",
        threshold=[3.0, 4.0],
        margin=0.5,
        negatives_count=2,
        label_strength=0.3,
        label_embedding="overlay",
        normalization="layer",
        dropout=0.25,
        readout="softmax",
    )
    model = config.new_model((8, 8, 1), 10, steps_per_epoch=5)
    assert [layer.units for layer in model.ff_layers] == [24, 16]
    assert [layer.loss.threshold for layer in model.ff_layers] == [3.0, 4.0]
    assert [layer.loss.margin for layer in model.ff_layers] == [0.5, 0.5]
    assert {layer.activation for layer in model.ff_layers} == {keras.activations.tanh}
    assert {type(layer.normalization) for layer in model.ff_layers} == {
        keras.layers.LayerNormalization
    }
    assert {layer.dropout.rate for layer in model.ff_layers} == {0.25}
    assert model.ff_layers[0].goodness == keras_ff.goodness.SumOfSquares()
    assert model.negatives.count == 2
    assert model.label_embedding == keras_ff.labels.Overlay(strength=0.3)
    assert isinstance(model.readout, keras_ff.readouts.Softmax)


@pytest.mark.parametrize(
    "chosen",
    [
        {},
        {"negatives": "hybrid_images", "readout": "softmax"},
        {"goodness": "class_groups", "architecture": "cnn"},
    ],
    ids=str,
)
def test_it_makes_no_variables(chosen, monkeypatch):
    """They would have to be made under a strategy, which comes after it."""

    def refuse(*arguments, **keywords):
        raise AssertionError("a variable")

    monkeypatch.setattr(keras.Variable, "__init__", refuse)
    with pytest.raises(AssertionError, match="a variable"):
        keras.random.SeedGenerator(0)
    config = TrainingConfig.for_dataset("digits", **chosen)
    assert config.command().startswith("keras-ff train")
