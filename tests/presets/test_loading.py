"""Presets that are loaded: they score, go on learning, and take other classes."""

import io
import json
import zipfile

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import FFModel, layers, readouts, zoo
from keras_ff.presets import storage
from keras_ff.recipes import TrainingConfig
from tests.helpers import activities_of
from tests.helpers.presets import DIGITS, arrays, replace, scores, weights

pytestmark = pytest.mark.usefixtures("packaged_presets_alone")

SMALL = {"units": (24, 16), "epochs": 2, "batch_size": 128, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def test_data():
    """Samples of the digits' test set, prepared as for the presets, as arrays."""
    return arrays(zoo.get(DIGITS[0]).load_data()[2])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["float32", "float16", "int8", "int6"])
def test_a_preset_scores_as_the_model_that_was_saved(kind, trained, tmp_path):
    model, x = trained
    model.save_to_preset(tmp_path / kind, kind)
    loaded = FFModel.from_preset(tmp_path / kind)
    for before, after in zip(weights(model), weights(loaded), strict=True):
        assert before.dtype == after.dtype
        if kind == "float32" or before.ndim < 2:  # counters, biases and thresholds among them
            np.testing.assert_array_equal(before, after)
        elif kind == "float16":
            np.testing.assert_array_equal(before.astype("float16"), after)
        else:
            step = np.abs(before).max(axis=0) / {"int8": 127, "int6": 31}[kind]
            assert np.all(np.abs(before - after) <= step / 2 * (1 + 1e-5))
            assert np.max(np.abs(before - after)) > 0
    tolerance = {"float32": 0, "float16": 1e-3, "int8": 2e-2, "int6": 8e-2}[kind]
    np.testing.assert_allclose(scores(loaded, x), scores(model, x), rtol=tolerance)


@pytest.mark.slow
def test_what_is_loaded_is_compiled_as_before_and_goes_on_learning(trained, tmp_path):
    model, x = trained
    model.save_to_preset(tmp_path / "preset", "float32")
    loaded = FFModel.from_preset(tmp_path / "preset")
    assert loaded.loss == model.loss
    before = weights(loaded)
    history = loaded.fit(x, np.arange(64) % 10, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all() and "accuracy" in history.history
    assert any(np.any(old != new) for old, new in zip(before, weights(loaded), strict=True))


def test_dtype_policies_are_kept(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = keras_ff.models.mlp((16,))
    model.build((None, 8, 8, 1))
    model.save_to_preset(tmp_path / "preset", "float32")
    keras.config.set_dtype_policy("float32")
    loaded = FFModel.from_preset(tmp_path / "preset")
    assert loaded.ff_layers[0].compute_dtype == "bfloat16"
    x = np.random.default_rng(0).random((6, 8, 8, 1), "float32")
    np.testing.assert_array_equal(scores(loaded, x), scores(model, x))


def test_a_configuration_without_weights(tmp_path):
    config = TrainingConfig.for_dataset("digits", activation="tanh", **SMALL)
    preset = zoo.save_recipe(config, tmp_path / "best")
    assert not (tmp_path / "best" / "weights.npz").exists()
    with pytest.raises(ValueError, match=r"'best' is a configuration without weights"):
        FFModel.from_preset(tmp_path / "best")
    model = FFModel.from_preset(tmp_path / "best", load_weights=False)
    assert [layer.units for layer in model.ff_layers] == [24, 16]
    assert TrainingConfig.of_preset(preset) == config and preset.test_accuracy is None
    assert "load_weights=False" in preset.card()


def test_new_weights_are_new():
    old, new = (FFModel.from_preset(DIGITS[0], load_weights=loads) for loads in (True, False))
    assert np.any(weights(old)[1] != weights(new)[1])
    assert [one.shape for one in weights(old)] == [one.shape for one in weights(new)]


@pytest.mark.slow
def test_the_model_must_fit(trained, tmp_path):
    model, _ = trained
    with pytest.raises(ValueError, match="must be built"):
        FFModel([layers.FFDense(8)], num_classes=10).save_to_preset(tmp_path / "preset")
    with pytest.raises(ValueError, match=r"'int6', 'int8', .* or 'float32'. Received: 'int4'"):
        model.save_to_preset(tmp_path / "preset", "int4")
    with pytest.raises(ValueError, match=r"no entry 'dataste'. Did you mean 'dataset'"):
        model.save_to_preset(tmp_path / "preset", dataste="digits")
    with pytest.raises(ValueError, match="holds a FFModel, not a RecurrentFFModel"):
        keras_ff.models.RecurrentFFModel.from_preset(DIGITS[0])
    assert not (tmp_path / "preset").exists()


def as_npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def of_another_network(folder):
    model = FFModel([layers.FFDense(8), layers.FFDense(8)], num_classes=10)
    model.build((None, 8, 8, 1))
    replace(folder, "weights.npz", storage.packed(model, "int8"))


def of_a_shorter_network(folder):
    model = FFModel([layers.FFDense(8)], num_classes=10)
    model.build((None, 8, 8, 1))
    replace(folder, "weights.npz", storage.packed(model, "int8"))


def pickled(folder):
    replace(folder, "weights.npz", as_npz(**{"layers_trained": np.array([{}], "object")}))


def no_archive(folder):
    replace(folder, "weights.npz", b"no weights at all")


def one_array(folder):
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    replace(folder, "weights.npz", file.getvalue())


def zeros(shape, number):
    """A file of an array that says it has a shape, and holds as many zeros as it likes."""
    file, header = io.BytesIO(), {"descr": "<f4", "fortran_order": False, "shape": shape}
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("layers_trained.npy", "w") as entry,
    ):
        np.lib.format.write_array_header_1_0(entry, header)
        entry.write(bytes(4 * number))
    return file.getvalue()


def that_grows(folder):
    """Eight megabytes in eight kilobytes, as it might be eight gigabytes in eight megabytes."""
    content = zeros((2**21,), 2**21)
    assert len(content) < 10_000
    replace(folder, "weights.npz", content)


def that_grows_in_many_arrays(folder):
    """Each as large as the largest weight."""
    arrays = {str(number): np.zeros((74, 200), "float32") for number in range(20)}
    replace(folder, "weights.npz", as_npz(**arrays))


def that_grows_behind_its_array(folder):
    replace(folder, "weights.npz", zeros((), 2**21))


def that_says_it_is_large(folder):
    """A header alone, for which numpy would ask for four terabytes."""
    replace(folder, "weights.npz", zeros((2**20, 2**20), 0))


def of_text(folder):
    replace(folder, "weights.npz", as_npz(layers_trained=np.array(["a" * 1000])))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (that_grows, r"not a file of weights: .* would unpack to more than the weights"),
        (that_grows_in_many_arrays, r"would unpack to more than the weights"),
        (that_grows_behind_its_array, r"would unpack to more than the weights"),
        (
            that_says_it_is_large,
            r"of shape \(1048576, 1048576\) would unpack to more",
        ),
        (of_text, r"holds no numbers, but <U1000"),
        (of_another_network, r"'ff_dense/dense/kernel' has the shape \(74, 200\).* \(74, 8\)"),
        (of_a_shorter_network, r"weights of another network: this one has layers_trained"),
        (pickled, r"not a file of weights"),
        (no_archive, r"not a file of weights"),
        (one_array, r"not a file of weights"),
    ],
)
def test_foreign_weights_are_refused(spoil, sentence, copy):
    """Even where the metadata were made to fit."""
    spoil(copy)
    with pytest.raises(ValueError, match=sentence):
        FFModel.from_preset(copy)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (b"{", "is damaged"),
        (b'{"module": "keras_ff.nowhere", "class_name": "Other", "config": {}}', "cannot be read"),
    ],
)
def test_foreign_configurations_are_refused(config, sentence, copy):
    replace(copy, "config.json", config)
    with pytest.raises(ValueError, match=sentence):
        FFModel.from_preset(copy)


def function(module, name):
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def of_class(module, name, **config):
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def vocabulary(kind, folder):
    layer = keras.saving.serialize_keras_object(kind(vocabulary=[1, 2]))
    layer["config"]["vocabulary"] = str(folder / "words.txt")
    return layer


# What stands in a configuration, as the activation of a layer or as a layer before it.
HOSTILE = {
    "a function": (lambda folder: function("os", "system"), "'function' of 'os'"),
    "a class": (
        lambda folder: of_class("subprocess", "Popen", args=["touch", str(folder / "opened")]),
        "'Popen' of 'subprocess'",
    ),
    "numpy": (lambda folder: function("numpy", "load"), "'function' of 'numpy'"),
    "one that Keras has": (
        lambda folder: function("keras.utils", "get_file"),
        "not a modeling function",
    ),
    "one that keras_ff has": (
        lambda folder: function("keras_ff.training", "load"),
        "Could not locate function",
    ),
    "a callback": (
        lambda folder: of_class("keras.callbacks", "CSVLogger", filename=str(folder / "opened")),
        "missing a `from_config",
    ),
    "a lambda": (
        lambda folder: {"class_name": "__lambda__", "config": {"value": "AAAA"}},
        "deserialization of a Python lambda",
    ),
    "a Lambda layer": (
        lambda folder: keras.saving.serialize_keras_object(keras.layers.Lambda(lambda x: x)),
        "is a Python lambda",
    ),
    "a vocabulary's path": (
        lambda folder: vocabulary(keras.layers.IntegerLookup, folder),
        "vocabulary file outside of the model archive",
    ),
    "a saved model's path": (
        lambda folder: of_class("keras.layers", "TFSMLayer", filepath=str(folder / "saved")),
        "loads an external SavedModel",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_configurations_are_refused(kind, copy, tmp_path, monkeypatch):
    """Nothing is run, and no path in them is opened."""
    made, sentence = HOSTILE[kind]
    (tmp_path / "words.txt").write_text("ant\nbee\n")
    config = json.loads((copy / "config.json").read_text())
    layers_of = config["config"]["layers"]
    if kind.endswith("path") or kind == "a Lambda layer":
        layers_of.insert(0, made(tmp_path))
    else:
        layers_of[0]["config"]["activation"] = made(tmp_path)
    replace(copy, "config.json", json.dumps(config).encode())
    monkeypatch.setattr("os.system", lambda *words: pytest.fail("was run"))
    with pytest.raises(ValueError, match=sentence):
        FFModel.from_preset(copy)
    assert not (tmp_path / "opened").exists()


def test_what_the_program_has_registered_may_stand_in_a_preset(tmp_path):
    @keras.saving.register_keras_serializable("test_loading")
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    model = FFModel([layers.FFLayer(keras.layers.Dense(8), activation=Twice())], num_classes=10)
    model.build((None, 4))
    model.save_to_preset(tmp_path / "own", "float32")
    x = np.random.default_rng(0).random((3, 4), "float32")
    np.testing.assert_array_equal(
        scores(FFModel.from_preset(tmp_path / "own"), x), scores(model, x)
    )


def test_other_models_are_refused(copy):
    dense = keras.saving.serialize_keras_object(keras.layers.Dense(3))
    replace(copy, "config.json", json.dumps(dense).encode())
    with pytest.raises(ValueError, match=r"must be that of an FFModel. Received: one of a Dense"):
        FFModel.from_preset(copy)


@pytest.mark.slow
def test_other_classes_take_over_all_that_fits(trained, tmp_path):
    model, x = trained
    model.save_to_preset(tmp_path / "preset", "float32")
    other = FFModel.from_preset(tmp_path / "preset", num_classes=3)
    assert other.num_classes == 3 and scores(other, x).shape == (64, 3)
    old, new = model.ff_layers[0].transform.kernel, other.ff_layers[0].transform.kernel
    assert new.shape == (67, 24)
    np.testing.assert_array_equal(old[:64], new[:64])
    assert not np.any(np.isin(np.array(new[64:]), np.array(old[64:])))
    for before, after in zip(weights(model), weights(other), strict=True):
        if before.shape == after.shape:
            np.testing.assert_array_equal(before, after)
    history = other.fit(x, np.arange(64) % 3, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.slow
def test_other_classes_of_a_preset_with_many_negatives(test_data):
    """Digits below three: five wrong labels a sample become two, and most is known already."""
    x, y = test_data
    x, y = x[y < 3], y[y < 3]
    model = FFModel.from_preset(DIGITS[1], num_classes=3)
    assert model.negatives.count == 2
    model.fit(x[:50], y[:50], epochs=5, verbose=0)
    assert model.evaluate(x[50:], y[50:], verbose=0, return_dict=True)["accuracy"] > 0.9


@pytest.mark.slow
def test_class_groups_are_divided_anew(tmp_path):
    model = keras_ff.models.cnn((20,))
    model.compile()
    model.build((None, 8, 8, 1))
    model.save_to_preset(tmp_path / "preset", "float32")
    other = FFModel.from_preset(tmp_path / "preset", num_classes=5)
    np.testing.assert_array_equal(
        model.ff_layers[0].transform.kernel, other.ff_layers[0].transform.kernel
    )
    x = np.zeros((2, 8, 8, 1), "float32")
    assert scores(other, x).shape == (2, 5)
    with pytest.raises(ValueError, match="cannot be divided among 3 classes"):
        FFModel.from_preset(tmp_path / "preset", num_classes=3)
    with pytest.raises(ValueError, match=r"at least 2. Received: num_classes=1"):
        FFModel.from_preset(tmp_path / "preset", num_classes=1)


@pytest.mark.slow
@pytest.mark.parametrize("num_classes", [None, 5])
def test_another_readout_of_the_same_layers(num_classes, tmp_path):
    model = keras_ff.models.cnn((20, 20), readout=readouts.Goodness("validation", mirrored=True))
    model.compile(metrics=["accuracy"])
    x = np.random.default_rng(0).normal(size=(60, 8, 8, 1)).astype("float32")
    y = np.arange(60) % 5
    x[np.arange(60), y] += 3.0
    model.fit(x, y, validation_data=(x, y), epochs=1, verbose=0)
    model.save_to_preset(tmp_path / "preset", "float32")
    head = readouts.Softmax("all", keras.optimizers.Adam(0.1), regions=1, standardized=True)
    other = FFModel.from_preset(tmp_path / "preset", num_classes=num_classes, readout=head)
    for before, after in zip(model.ff_layers, other.ff_layers, strict=True):
        for old, new in zip(before.get_weights(), after.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    assert int(other.layers_trained) == 2
    np.testing.assert_array_equal(scores(other, x), np.zeros((60, num_classes or 10)))
    other.fit_readout(x, y, batch_size=4, epochs=12, verbose=0)
    assert other.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.7

    # And back: the head is left behind.
    other.save_to_preset(tmp_path / "read", "float32")
    goodness = readouts.Goodness([1])
    again = FFModel.from_preset(tmp_path / "read", readout=goodness)
    assert isinstance(again.readout, readouts.Goodness)
    expected = other.stack.goodness(activities_of(other, x))[1]
    np.testing.assert_allclose(scores(again, x), expected, rtol=1e-5)
    # The head itself is among what was saved.
    kept = FFModel.from_preset(tmp_path / "read")
    np.testing.assert_allclose(scores(kept, x), scores(other, x), rtol=1e-5)


def test_another_readout_must_be_one():
    with pytest.raises(ValueError, match="Did you mean 'softmax'"):
        FFModel.from_preset(DIGITS[0], readout="sofmax")


@pytest.mark.slow
def test_frozen_layers_stay_as_they_are(test_data):
    x, y = test_data
    model = FFModel.from_preset(DIGITS[0])
    first, second = model.ff_layers
    first.trainable = False
    before = [keras.ops.convert_to_numpy(layer.transform.kernel) for layer in (first, second)]
    model.fit(x[:100], y[:100], epochs=1, verbose=0)
    np.testing.assert_array_equal(before[0], first.transform.kernel)
    assert np.any(before[1] != keras.ops.convert_to_numpy(second.transform.kernel))


@pytest.mark.slow
def test_a_preset_goes_on_by_backpropagation(test_data):
    x, y = test_data
    network = FFModel.from_preset(DIGITS[0]).to_backprop()
    network.compile(
        keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    network.fit(x[:200], y[:200], epochs=10, verbose=0)
    # 200 samples alone would not do.
    assert network.evaluate(x[200:], y[200:], verbose=0, return_dict=True)["accuracy"] > 0.93
