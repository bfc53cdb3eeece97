"""The presets that come with keras_ff hold what their cards say."""

import functools
import shlex

import keras
import numpy as np
import pytest

from keras_ff import FFModel, datasets, zoo
from keras_ff.datasets import tfds_images
from keras_ff.recipes import TrainingConfig
from keras_ff.zoo import measuring
from keras_ff_cli import parser
from tests.helpers import ROOT, activities_of
from tests.helpers.command_line import command
from tests.helpers.presets import DIGITS, arrays, scores

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")


# One of each family; `keras-ff zoo evaluate --all`, before a release, measures all presets.
MNIST = ("mnist_cnn_relu", "mnist_mlp_relu", "mnist_mlp_t_distribution", "mnist_unsupervised_relu")


@pytest.fixture(scope="module")
def test_data():
    """Samples of the digits' test set, prepared as for the presets, as arrays."""
    return arrays(zoo.get(DIGITS[0]).load_data()[2])


@pytest.fixture(scope="module")
def read_once():
    """Datasets of TFDS are read once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfds_images, "samples", functools.cache(tfds_images.samples))
        yield


@pytest.mark.parametrize("name", sorted(zoo.list_presets()))
def test_packaged_presets_are_whole_and_small(name):
    preset = zoo.get(name)
    preset.check()
    assert preset.metadata["name"] == name == preset.folder.name
    assert name == f"{preset.dataset}_{preset.architecture}_{preset.activation}"
    assert max(one["bytes"] for one in preset.metadata["files"].values()) <= 12e6
    assert f"# {name}\n" in preset.card()
    recipe = TrainingConfig.of_preset(preset)
    if recipe is not None:
        assert recipe.command() == preset.metadata["command"]
    # A network that was not trained has no limits yet.
    assert ("## Limits" in preset.card()) == (preset.storage is not None)


def test_all_packaged_presets_together_are_small_enough_for_a_wheel():
    assert sum(preset.bytes for preset in zoo.list_presets().values()) < 80e6


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.parametrize("name", DIGITS)
def test_cards_hold_what_is_measured(name, test_data):
    preset = zoo.get(name)
    found = measuring.measure(preset)
    assert found.agrees and found.card == preset.test_accuracy > 0.96
    # By another way than that of `measure`.
    x, y = test_data
    model = FFModel.from_preset(name)
    hits = np.mean(np.argmax(scores(model, x), axis=1) == y)
    assert abs(100 * (hits - preset.test_accuracy)) <= 0.05
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] == pytest.approx(hits)


@pytest.mark.every_case
@pytest.mark.slow
@pytest.mark.skipif(not datasets.is_prepared("mnist"), reason="MNIST is not prepared here")
@pytest.mark.parametrize("name", MNIST)
@pytest.mark.usefixtures("read_once")
def test_cards_of_mnist_hold_what_is_measured(name):
    preset = zoo.get(name)
    found = measuring.measure(preset)
    assert found.agrees and found.card == preset.test_accuracy > 0.97


@pytest.mark.parametrize("name", DIGITS)
def test_the_card_tells_the_metrics_of_the_metadata(name):
    preset = zoo.get(name)
    card = preset.card()
    assert f"| test accuracy | {100 * preset.test_accuracy:.2f} % of 359 samples |" in card
    assert f"| validation accuracy | {100 * preset.validation_accuracy:.2f} %" in card
    assert "strictly local" in card and preset.metadata["command"] in card
    for layer, alone, first in zip(
        (1, 2),
        preset.metadata["layer_accuracy"]["alone"],
        preset.metadata["layer_accuracy"]["first"],
        strict=True,
    ):
        assert f"| {layer} | {100 * alone:.2f} % | {100 * first:.2f} % |" in card
    for picture in ("goodness_separation.png", "first_layer_filters.png"):
        assert f"]({picture})" in card
        assert preset.read(picture).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", DIGITS)
def test_the_command_on_the_card_is_the_recipe(name):
    preset = zoo.get(name)
    words = shlex.split(preset.metadata["command"])
    options = vars(parser.new().parse_args(words[1:]))
    del options["command"]
    assert TrainingConfig.for_dataset(**options) == TrainingConfig.of_preset(preset)


@pytest.mark.slow
def test_layers_are_measured_alone_and_together():
    """By hand, from the goodness of every label."""
    preset = zoo.get(DIGITS[1])
    model = preset.model()
    x, y = arrays(preset.load_data()[1])
    goodness = np.zeros((2, len(x), 10))
    for label in range(10):
        embedded = model.streams.embed(x, np.full(len(x), label))
        found = model.stack.goodness(activities_of(model, embedded))
        goodness[:, :, label] = [keras.ops.convert_to_numpy(one) for one in found]
    alone = [np.mean(np.argmax(one, axis=1) == y) for one in goodness]
    assert preset.metadata["layer_accuracy"]["alone"] == pytest.approx(alone)
    both = np.mean(np.argmax(goodness.sum(axis=0), axis=1) == y)
    assert preset.metadata["layer_accuracy"]["first"] == pytest.approx([alone[0], both])
    assert preset.validation_accuracy == pytest.approx(both)


def test_zoo_md_is_up_to_date():
    code, out, _ = command("zoo", "list", "--markdown")
    assert code == 0
    assert (ROOT / "ZOO.md").read_text() == out, "keras-ff zoo list --markdown > ZOO.md"
