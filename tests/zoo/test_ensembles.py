"""Ensembles as presets: their members, their card, their metrics."""

import json
import shutil

import numpy as np
import pytest

from keras_ff import FFModel, report, zoo
from keras_ff.models import FFEnsemble
from keras_ff.presets import folders
from keras_ff.zoo import measuring
from tests.helpers.command_line import command

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")

NAMES = ("digits_mlp_relu", "digits_mlp_tanh")

SHARES = (3.0, 1.0)

SHAPE = (8, 8, 1)


def of_samples(x, *models):
    """What each model answers."""
    return [model.predict(x, verbose=0) for model in models]


@pytest.fixture(scope="module")
def data():
    """Samples and labels of the digits' validation part and test set, as the presets see them."""
    _, *parts = zoo.get(NAMES[0]).load_data()
    return [
        tuple(map(np.concatenate, zip(*part.as_numpy_iterator(), strict=True))) for part in parts
    ]


@pytest.fixture(scope="module")
def samples():
    return np.random.default_rng(0).normal(size=(30, *SHAPE)).astype("float32")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with copies of two presets and the ensemble of them."""
    folder = tmp_path_factory.mktemp("published")
    for name in NAMES:
        shutil.copytree(zoo.get(name).folder, folder / name)
    zoo.publish_ensemble(folder / "both", NAMES, SHARES)
    return folder


@pytest.fixture
def own(published, tmp_path):
    """The same folder, for a test to change."""
    shutil.copytree(published, tmp_path / "own")
    return tmp_path / "own"


@pytest.mark.slow
def test_a_preset_holds_the_metrics_of_its_members_together(own, data):
    preset = zoo.get(own / "both")
    preset.check()
    (x, y), (test_x, test_y) = data
    members = [zoo.get(name).model() for name in NAMES]

    def accuracy(x, y):
        first, second = of_samples(x, *members)
        return np.mean(np.argmax(0.75 * first + 0.25 * second, axis=1) == y)

    assert preset.validation_accuracy == pytest.approx(accuracy(x, y))
    assert preset.test_accuracy == pytest.approx(accuracy(test_x, test_y))
    assert preset.parameters == sum(member.count_params() for member in members)
    assert (preset.storage, preset.dataset, preset.activation) == ("members", "digits", None)
    assert preset.metadata["layers"] == 4 and preset.bytes < 10_000
    assert {path.name for path in preset.folder.iterdir()} == {
        "README.md",
        "config.json",
        "metadata.json",
    }
    loaded = FFEnsemble.from_preset(own / "both")
    assert loaded.shares == list(SHARES)
    found = loaded.evaluate(test_x, test_y, verbose=0, return_dict=True)
    assert found["accuracy"] == pytest.approx(preset.test_accuracy)


def test_the_card_tells_of_the_members(own):
    preset = zoo.get(own / "both")
    card = preset.card()
    assert "An ensemble of 2 Forward-Forward networks for `digits`." in card
    assert 'keras_ff.models.FFEnsemble.from_preset("both")' in card
    for name, share in zip(NAMES, ("75.00 %", "25.00 %"), strict=True):
        member = zoo.get(name)
        accuracies = [member.validation_accuracy, member.test_accuracy]
        cells = [share, *(f"{100 * accuracy:.2f} %" for accuracy in accuracies)]
        assert f"| [{name}](../{name}/README.md) | {' | '.join(cells)} |" in card
    assert f"| weights | {preset.parameters:,}, in the presets of its members |" in card
    assert "one run of each member with one seed" in card


@pytest.mark.slow
def test_members_are_found_beside_it_before_others(own, tmp_path, samples):
    """Its own copy counts, though the packaged presets have one of that name."""
    assert [member.folder.parent for member, _ in zoo.get(own / "both").members()] == [own, own]
    wanted = FFEnsemble.from_preset(own / "both").predict(samples, verbose=0)
    # And where it lies alone, the packaged ones.
    shutil.copytree(own / "both", tmp_path / "alone" / "both")
    alone = FFEnsemble.from_preset(tmp_path / "alone" / "both")
    np.testing.assert_array_equal(alone.predict(samples, verbose=0), wanted)
    zoo.register(own)
    np.testing.assert_array_equal(
        FFEnsemble.from_preset("both").predict(samples, verbose=0), wanted
    )
    # New weights, in networks of that kind.
    new = FFEnsemble.from_preset("both", load_weights=False)
    assert new.shares == list(SHARES)
    assert np.any(new.predict(samples, verbose=0) != wanted)


def test_another_member_of_that_name_is_refused(own):
    model = zoo.get(NAMES[1]).model()
    zoo.save(model, own / NAMES[1], "float32")
    with pytest.raises(ValueError, match=r"'both' was made of another preset 'digits_mlp_tanh'"):
        FFEnsemble.from_preset(own / "both")
    with pytest.raises(ValueError, match="was made of another preset"):
        zoo.get(own / "both").check()


def test_a_damaged_or_missing_member_is_refused(own, monkeypatch):
    (own / NAMES[0] / "weights.npz").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"weights.npz' is not the one that the preset was written"
    ):
        zoo.get(own / "both").check()
    with pytest.raises(
        ValueError, match=r"weights.npz' is not the one that the preset was written"
    ):
        FFEnsemble.from_preset(own / "both")
    shutil.rmtree(own / NAMES[0])
    monkeypatch.setattr(folders, "packaged", lambda: None)
    with pytest.raises(ValueError, match=r"no preset of this name.*'digits_mlp_relu'"):
        FFEnsemble.from_preset(own / "both")


def test_a_changed_configuration_is_refused(own):
    path = own / "both" / "config.json"
    content = path.read_text()
    path.write_text(content.replace("3.0", "9.0"))
    with pytest.raises(ValueError, match=r"config.json' was changed"):
        FFEnsemble.from_preset(own / "both")


def test_it_is_loaded_as_what_it_is(own):
    with pytest.raises(ValueError, match=r"holds a FFEnsemble.*load it by FFEnsemble.from_preset"):
        FFModel.from_preset(own / "both")
    with pytest.raises(ValueError, match=r"holds a FFModel.*load it by FFModel.from_preset"):
        FFEnsemble.from_preset(NAMES[0])
    for change in ({"num_classes": 3}, {"readout": "softmax"}):
        with pytest.raises(ValueError, match="is an ensemble: change classes or readout of its"):
            zoo.get(own / "both").model(**change)
    with pytest.raises(ValueError, match=r"is an ensemble.*report on its members, 'digits"):
        report.write(own / "both")


def test_members_are_single_networks_with_weights(own):
    with pytest.raises(ValueError, match=r"single networks.*'both', an ensemble"):
        zoo.publish_ensemble(own / "more", ["both", NAMES[0]])
    model = zoo.get(NAMES[0]).model()
    zoo.save(model, own / "recipe", None, data=zoo.get(NAMES[0]).data_options())
    with pytest.raises(ValueError, match="'recipe', a configuration without weights"):
        zoo.publish_ensemble(own / "more", ["recipe", NAMES[0]])
    with pytest.raises(ValueError, match=r"save its members.*publish_ensemble"):
        zoo.save(FFEnsemble.from_preset(own / "both"), own / "more")
    with pytest.raises(ValueError, match="the same network"):
        zoo.publish_ensemble(own / "more", [NAMES[0], NAMES[0]])
    assert not (own / "more").exists()


@pytest.mark.slow
def test_members_are_measured_alike(own):
    """Of their data options `flip` varies training samples; `seed` decides which are held out."""
    model, data = zoo.get(NAMES[1]).model(), zoo.get(NAMES[0]).data_options()
    zoo.save(model, own / "silent", "int6")
    with pytest.raises(ValueError, match="'silent' does not say on what data"):
        zoo.publish_ensemble(own / "more", ["silent", NAMES[0]])
    changes = {"varied": {"flip": not data["flip"]}, "divided": {"seed": data["seed"] + 1}}
    changes["prepared"] = {"standardize": not data["standardize"]}
    for name, change in changes.items():
        zoo.save(model, own / name, "int6", data={**data, **change})
    zoo.publish_ensemble(own / "more", [NAMES[0], "varied"])
    for name, told in (("divided", r"seed=\[0, 1\]"), ("prepared", "standardize=")):
        with pytest.raises(ValueError, match=f"same samples.*'{name}' with {told}"):
            zoo.publish_ensemble(own / "more", [NAMES[0], name])


def test_an_ensemble_takes_no_members_place(own):
    content = (own / NAMES[0] / "weights.npz").read_bytes()
    words = ("zoo", "join", *NAMES, "--to", own, "--name", NAMES[0], "--replace")
    code, _, err = command(*words)
    assert code == 2 and "needs a name of its own" in err
    assert (own / NAMES[0] / "weights.npz").read_bytes() == content


@pytest.mark.slow
def test_members_must_be_found_by_their_names(own, tmp_path):
    paths = [own / name for name in NAMES]
    for path in paths:
        path.rename(path.with_name(f"my_{path.name}"))
    paths = [path.with_name(f"my_{path.name}") for path in paths]
    with pytest.raises(ValueError, match=r"put them beside the ensemble.*my_digits_mlp_relu"):
        zoo.publish_ensemble(tmp_path / "elsewhere" / "more", paths)
    zoo.register(own)
    zoo.publish_ensemble(tmp_path / "elsewhere" / "more", paths)
    assert len(FFEnsemble.from_preset(tmp_path / "elsewhere" / "more").members) == 2


@pytest.mark.slow
def test_evaluate_measures_each_network_once(own, monkeypatch):
    scored = []
    predict = FFModel.predict
    monkeypatch.setattr(
        FFModel, "predict", lambda *args, **kwargs: scored.append(1) or predict(*args, **kwargs)
    )
    code, out, err = command("zoo", "evaluate", own / "both", own / NAMES[0], own / NAMES[1])
    assert (code, err, len(scored)) == (0, "", 2)
    assert out.count("difference +0.00\n") == 3 and "3 of 3 are what their cards say." in out
    # By itself it is measured as well, and what is wrong is found.
    assert measuring.measure(zoo.get(own / "both")).agrees and len(scored) == 4
    path = own / "both" / "metadata.json"
    metadata = json.loads(path.read_text())
    path.write_text(json.dumps({**metadata, "test_accuracy": metadata["test_accuracy"] - 0.01}))
    code, out, _ = command("zoo", "evaluate", own / "both")
    assert code == 1 and "difference +1.00: not what the card says" in out


@pytest.mark.slow
def test_join_makes_a_preset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("zoo", "join", *NAMES, "--to", "own")
    code, out, err = command(*words, "--shares", "1", "0.3333333", "--description", "Both of them.")
    assert code == 0, err
    preset = zoo.get(tmp_path / "own" / "digits_ensemble_mixed")
    assert f"test accuracy {100 * preset.test_accuracy:.2f} %" in out
    assert f"export {zoo.VARIABLE}={tmp_path / 'own'}" in out
    assert "Both of them." in preset.card()
    assert f"keras-ff zoo join {' '.join(NAMES)} --shares 1 0.3333333\n" in preset.card()
    assert [share for _, share in preset.members()] == [1.0, 0.3333333]
    code, _, err = command(*words)
    assert code == 2 and f"There is 'own/{preset.name}' already" in err
    assert command(*words, "--replace")[0] == 0
    assert f"keras-ff zoo join {' '.join(NAMES)}\n" in zoo.get(preset.folder).card()
    # What makes it again is another command than that of a network.
    code, _, err = command("zoo", "train", preset.folder, "--out", tmp_path / "run")
    assert code == 2 and "but by keras-ff zoo join" in err
    code, out, _ = command("evaluate", preset.folder, "--json")
    assert code == 0
    assert json.loads(out)["test_accuracy"] == pytest.approx(zoo.get(preset.folder).test_accuracy)
    code, _, err = command("zoo", "join", NAMES[0], "digits_mlp_tnh")
    assert code == 2 and "Did you mean 'digits_mlp_tanh'" in err


@pytest.mark.slow
def test_join_names_it_after_dataset_and_activation(own):
    """As its members' folders are, where both have the same; by `--name` otherwise."""
    model, data = zoo.get(NAMES[1]).model(), zoo.get(NAMES[1]).data_options()
    zoo.save(model, own / "digits_mlp_small_tanh", "int6", data=data, dataset="digits:1.0/all")
    words = ("zoo", "join", "digits_mlp_small_tanh", NAMES[1], "--to", own)
    assert command(*words)[0] == 0
    assert zoo.get(own / "digits-1.0-all_ensemble_tanh").activation == "tanh"
    assert command(*words, "--name", "mine")[0] == 0
    card = zoo.get(own / "mine").card()
    assert f"keras-ff zoo join digits_mlp_small_tanh {NAMES[1]} --name mine\n" in card


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", sorted(name for name, one in zoo.list_presets().items() if one.storage == "members")
)
def test_packaged_ensembles_are_better_than_their_members(name):
    preset = zoo.get(name)
    members = preset.members()
    total = sum(share for _, share in members)
    told = [(one["name"], one["share"]) for one in preset.metadata["members"]]
    assert told == [(member.name, share / total) for member, share in members]
    assert preset.validation_accuracy > max(one.validation_accuracy for one, _ in members)
    assert preset.test_accuracy > max(one.test_accuracy for one, _ in members)
