"""Training runs: what a folder holds, and resuming after interruptions, to the last digit."""

import collections
import json
import zipfile

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import datasets, training
from keras_ff.recipes import TrainingConfig
from keras_ff.training import checkpoint
from keras_ff.utils import files
from tests.helpers import mostly_slow
from tests.helpers.runs import assert_same_end, read

pytestmark = pytest.mark.usefixtures("eager_functions")

SMALL = {"units": (24, 16), "epochs": 4, "batch_size": 256, "learning_rate": 0.01}


def small(**changes):
    return TrainingConfig.for_dataset("digits", **{**SMALL, **changes})


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a small run that is complete, trained layer by layer."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    training.train(small(layer_schedule="greedy"), folder, verbose=0)
    return folder


@pytest.mark.slow
def test_the_rates_have_fallen_to_zero_when_a_run_ends(finished):
    model, _ = training.load(finished)
    for layer in model.ff_layers:
        assert int(layer.optimizer.iterations) == layer.optimizer._learning_rate.total_steps
        assert float(layer.optimizer.learning_rate) == 0.0


@pytest.mark.slow
def test_a_run_leaves_its_files_and_nothing_else(finished):
    assert sorted(path.name for path in finished.iterdir()) == [
        "config.json",
        "goodness_separation.png",
        "history.json",
        "learning_curves.png",
        "metrics.json",
        "model.keras",
    ]
    assert TrainingConfig.from_dict(read(finished, "config.json")) == small(layer_schedule="greedy")
    for name in ("goodness_separation.png", "learning_curves.png"):
        assert (finished / name).read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.slow
def test_metrics_agree_with_the_model_and_with_each_other(finished):
    metrics = read(finished, "metrics.json")
    model, run = training.load(finished)
    training_part, validation, test = small().load_data()
    # Keras's own accuracy, on the same parts.
    for name, part in (("validation_accuracy", validation), ("test_accuracy", test)):
        accuracy = model.evaluate(part, verbose=0, return_dict=True)["accuracy"]
        assert metrics[name] == pytest.approx(accuracy)
    matrix = np.array(metrics["confusion_matrix"])
    truth = collections.Counter(int(label) for _, y in test for label in y)
    assert matrix.sum(axis=1).tolist() == [truth[label] for label in range(10)]
    assert metrics["test_accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum())
    assert metrics["per_class_accuracy"] == pytest.approx(np.diag(matrix) / matrix.sum(axis=1))
    samples = sum(len(y) for _, y in training_part)
    assert metrics["samples_per_second"] == pytest.approx(samples * 4 / metrics["seconds"])
    assert metrics["epochs"] == run["epoch"] == 4
    assert metrics["seed"] == 0
    assert metrics["versions"]["keras_ff"] == keras_ff.__version__
    assert set(metrics["versions"]) == {"keras_ff", "keras", keras.backend.backend(), "python"}
    # (64 pixels + 10 labels + bias) · 24 + (24 + bias) · 16
    assert metrics["parameters"] - metrics_of_state(model) == 75 * 24 + 25 * 16


def metrics_of_state(model):
    """Weights of a model that do not learn: what Keras counts beside the parameters."""
    return sum(int(np.prod(weight.shape)) for weight in model.non_trainable_weights)


def test_the_history_is_whole_and_valid_json(finished):
    def refuse(constant):
        raise AssertionError(f"not JSON: {constant}")

    history = json.loads((finished / "history.json").read_text(), parse_constant=refuse)
    assert {len(values) for values in history.values()} == {4}
    # Layer 2 is not reached in the first two epochs of four.
    assert history["layer_2/loss"][:2] == [None, None]
    assert all(value > 0 for value in history["layer_2/loss"][2:])
    assert history["val_accuracy"][-1] == pytest.approx(
        read(finished, "metrics.json")["validation_accuracy"]
    )


def test_a_run_learns(finished):
    assert read(finished, "metrics.json")["test_accuracy"] > 0.3


def test_the_run_is_kept_in_the_model_file(finished):
    with zipfile.ZipFile(finished / "model.keras") as archive:
        run = json.loads(archive.read(training.RUN_ENTRY))
    assert run["history"] == read(finished, "history.json")
    assert run["config"] == read(finished, "config.json")
    # Keras reads the file as any other.
    assert isinstance(keras.saving.load_model(finished / "model.keras"), keras_ff.FFModel)


@pytest.mark.slow
def test_without_a_validation_part(tmp_path):
    metrics = training.train(small(validation_share=0.0, epochs=2), tmp_path / "run", verbose=0)
    assert metrics["validation_accuracy"] is None
    assert "val_accuracy" not in read(tmp_path / "run", "history.json")
    assert (tmp_path / "run" / "goodness_separation.png").exists()


@pytest.mark.slow
def test_the_seed_decides_the_metrics(finished, tmp_path):
    training.train(small(layer_schedule="greedy", seed=1), tmp_path / "other", verbose=0)
    assert (
        read(tmp_path / "other", "history.json")["loss"] != read(finished, "history.json")["loss"]
    )


@pytest.mark.slow
def test_the_dtype_policy_is_that_of_the_run_alone(tmp_path):
    training.train(small(epochs=1, dtype_policy="mixed_bfloat16"), tmp_path / "run", verbose=0)
    model, _ = training.load(tmp_path / "run")
    assert model.ff_layers[0].compute_dtype == "bfloat16"
    assert model.ff_layers[0].kernel.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
def test_averaged_weights_take_the_place_of_the_weights(tmp_path):
    config = small(epochs=2, weight_averaging=0.9)
    metrics = training.train(config, tmp_path / "run", verbose=0)
    model, _ = training.load(tmp_path / "run")
    for layer in model.ff_layers:
        averages = layer.optimizer._model_variables_moving_average
        for weight, average in zip(layer.trainable_variables, averages, strict=True):
            np.testing.assert_array_equal(weight, average)
    # Validation during the run saw the averages, too.
    history = read(tmp_path / "run", "history.json")
    assert history["val_accuracy"][-1] == pytest.approx(metrics["validation_accuracy"])


def test_a_folder_with_a_run_is_refused(finished):
    with pytest.raises(ValueError, match="holds a run already: add --resume"):
        training.train(small(layer_schedule="greedy"), finished, verbose=0)


def test_a_complete_run_is_reported_and_left_as_it_is(finished):
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    metrics = training.train(small(layer_schedule="greedy"), finished, resume=True, verbose=0)
    assert metrics == read(finished, "metrics.json")
    assert {path.name: path.stat().st_mtime_ns for path in finished.iterdir()} == before


def test_another_configuration_is_not_resumed(finished):
    config = small(layer_schedule="greedy", epochs=5)
    with pytest.raises(ValueError, match=r"has --epochs 4, .* Received: --epochs 5"):
        training.train(config, finished, resume=True, verbose=0)


@pytest.mark.slow
def test_a_model_that_no_run_wrote_is_not_resumed(tmp_path):
    model = small().new_model((8, 8, 1), 10, 5)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="was not written by a run"):
        training.train(small(), tmp_path, resume=True, verbose=0)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        training.train(small(), tmp_path / "run", verbose=0)


def test_what_cannot_be_trained_leaves_no_folder(tmp_path):
    for wrong in (
        {"negatives_count": 10},
        {"negatives_count": 0},
        {"label_embedding": "label_map", "label_strength": 0},
        {"activation": "reluu"},
        {"shift": 8},
    ):
        with pytest.raises(ValueError, match="Received"):
            training.train(small(**wrong), tmp_path / "run", verbose=0)
    assert not (tmp_path / "run").exists()


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "figures.json"
    training.write_json(path, {"a": 1})

    def half(temporary):
        temporary.write_text('{"a"')
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        files.write_whole(path, half)
    assert training.read_json(path) == {"a": 1}


class Interruption(Exception):
    pass


def interrupt(*args):
    raise Interruption


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {
            "layer_schedule": "greedy",
            "weight_averaging": 0.9,
            "threshold": "learned",
            "readout": "softmax",
        },
        {
            "layer_schedule": "simultaneous",
            "dtype_policy": "mixed_bfloat16",
            "dropout": 0.1,
            "normalization": "batch",
            "shift": 1,
            "rotate": 10.0,
            "flip": True,
            "crop": 0.8,
            "colors": 0.1,
            "erase": 3,
            "readout": "mirrored_best_layers",
        },
    ],
    ids=lambda changes: changes["layer_schedule"],
)
def test_an_interrupted_run_ends_as_an_undisturbed_one(changes, tmp_path, monkeypatch):
    config = small(epochs=3, batch_size=512, **changes)
    training.train(config, tmp_path / "undisturbed", verbose=0)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise Interruption

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.Checkpoint, "on_epoch_begin", on_epoch_begin)
        with pytest.raises(Interruption):
            training.train(config, tmp_path / "run", verbose=0)
    assert training.load(tmp_path / "run")[1]["epoch"] == 1
    assert len(read(tmp_path / "run", "history.json")["loss"]) == 1
    # Once more between the last epoch and the trained model; then between that and the metrics.
    saves = iter([training.save, training.save, interrupt])
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", lambda *args: next(saves)(*args))
        with pytest.raises(Interruption):
            training.train(config, tmp_path / "run", resume=True, verbose=0)
    assert training.load(tmp_path / "run")[1]["epoch"] == 3
    with monkeypatch.context() as patched:
        patched.setattr("keras_ff.training.run.classification_metrics", interrupt)
        with pytest.raises(Interruption):
            training.train(config, tmp_path / "run", resume=True, verbose=0)
    assert not (tmp_path / "run" / "metrics.json").exists()
    training.train(config, tmp_path / "run", resume=True, verbose=0)
    assert_same_end(tmp_path / "run", tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_run_that_saves_every_other_epoch_goes_on_from_the_last_saved_one(finished, tmp_path):
    def stop(epoch, logs):
        if epoch == 2:
            raise Interruption

    stopping = [keras.callbacks.LambdaCallback(on_epoch_end=stop)]
    config, folder = small(layer_schedule="greedy"), tmp_path / "run"
    with pytest.raises(Interruption):
        training.train(config, folder, verbose=0, callbacks=stopping, save_freq=2)
    assert training.load(folder)[1]["epoch"] == 2
    training.train(config, folder, resume=True, verbose=0, save_freq=3)
    assert training.load(folder)[1]["epoch"] == 4
    assert_same_end(folder, finished)


@pytest.fixture(scope="module")
def read_out(tmp_path_factory):
    """The folder of a run whose readout learned after the layers."""
    folder = tmp_path_factory.mktemp("runs") / "read_out"
    training.train(small(**READ_OUT), folder, verbose=0)
    return folder


READ_OUT = {
    "epochs": 3,
    "batch_size": 64,
    "architecture": "cnn",
    "units": (20, 40),
    "dtype_policy": "float32",
    "weight_averaging": 0.9,
    "flip": True,
    "shift": 1,
    "readout": "softmax_of_averages",
    "readout_epochs": 8,
}


@pytest.mark.slow
def test_a_readout_learns_after_layers_which_stay(read_out, tmp_path):
    goodness = {**READ_OUT, "readout": "best_layers", "readout_epochs": None}
    training.train(small(**goodness), tmp_path / "run", verbose=0)
    assert read(read_out, "history.json") == read(tmp_path / "run", "history.json")
    with_head, _ = training.load(read_out)
    without, _ = training.load(tmp_path / "run")
    for layer, other in zip(with_head.ff_layers, without.ff_layers, strict=True):
        for weight, same in zip(layer.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(weight, same)
    readout = with_head.readout
    assert readout.regions == 1 and readout.standardized
    assert readout.mirrored and readout.shift == 1
    assert readout.head.kernel.shape == (20 + 40, 10)
    assert not np.allclose(readout.head.kernel, 0)
    metrics = read(read_out, "metrics.json")
    assert metrics["test_accuracy"] > 0.8
    assert metrics["epochs"] == 3
    _, test = datasets.load("digits", 64, validation_share=1 / 6)[1:]
    assert training.classification_metrics(with_head, test)["accuracy"] == metrics["test_accuracy"]


@pytest.mark.slow
def test_a_readout_learns_after_layers_that_learned_without_labels(tmp_path):
    chosen = {"negatives": "hybrid_images", "negatives_count": 1, "readout": "softmax"}
    chosen |= {"units": (200, 200), "batch_size": 128}
    folder = tmp_path / "run"
    training.train(small(**chosen, readout_epochs=8), folder, verbose=0)
    model, _ = training.load(folder)
    # The head that learned beside the layers made way for one that learned on them.
    assert model.readout.head.kernel.shape[-1] == 10
    assert read(folder, "metrics.json")["test_accuracy"] > 0.85


@mostly_slow("broken_off", ["before", "after"], quick=())
def test_a_readout_that_was_interrupted_ends_as_an_undisturbed_one(
    broken_off, read_out, tmp_path, monkeypatch
):
    config = small(**READ_OUT)
    with monkeypatch.context() as patched:
        if broken_off == "before":  # it is written
            saves = iter([training.save] * (config.epochs + 1) + [interrupt])
            patched.setattr(checkpoint, "save", lambda *args: next(saves)(*args))
        else:
            patched.setattr("keras_ff.training.run.classification_metrics", interrupt)
        with pytest.raises(Interruption):
            training.train(config, tmp_path / "run", verbose=0)
    model, run = training.load(tmp_path / "run")
    assert model.readout.chooses == (broken_off == "before")
    training.train(config, tmp_path / "run", resume=True, verbose=0)
    assert_same_end(tmp_path / "run", read_out)
    if broken_off == "after":  # there was nothing left to learn
        assert training.load(tmp_path / "run")[1] == run


@pytest.mark.slow
def test_seconds_are_those_of_all_parts(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: clock[0])

    def on_epoch_begin(self, epoch, logs=None):
        clock[0] += 7.0  # an epoch takes 7 seconds
        if epoch == 1 and not resumed:
            raise Interruption

    monkeypatch.setattr(checkpoint.Checkpoint, "on_epoch_begin", on_epoch_begin)
    resumed = False
    with pytest.raises(Interruption):
        training.train(small(epochs=3), tmp_path / "run", verbose=0)
    clock[0], resumed = 5000.0, True
    metrics = training.train(small(epochs=3), tmp_path / "run", resume=True, verbose=0)
    assert metrics["seconds"] == 21.0


@pytest.mark.slow
def test_a_readout_that_learns_after_the_layers_takes_seconds_as_well(read_out):
    _, run = training.load(read_out)
    metrics = read(read_out, "metrics.json")
    assert metrics["seconds"] == run["seconds"] + run["readout_seconds"]
    assert run["readout_seconds"] > 0
    # The rate is that of the layers.
    rate = run["samples"] * run["epoch"] / run["seconds"]
    assert metrics["samples_per_second"] == pytest.approx(rate)
