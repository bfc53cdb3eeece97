"""Benchmarks: their rows, what they compare, and the least possible time's arithmetic."""

import functools
import json
import pathlib
import time

import keras
import numpy as np
import pytest

from keras_ff import FFModel, cli, models
from keras_ff.lab import benchmarks
from keras_ff.lab.benchmarks import (
    accuracy,
    fit,
    floor,
    memory,
    own_process,
    side_by_side,
    system,
    training_step,
)
from keras_ff.layers import FFAttention, FFConv2D, FFDense
from keras_ff.negatives import RandomLabels

COLUMNS = {
    "bench",
    "case",
    "dtype",
    "unit",
    "ours",
    "floor",
    "backprop",
    "ratio_to_floor",
    "ratio_to_backprop",
}

of_tensorflow = pytest.mark.tensorflow("The steps and products that are timed are TensorFlow's")


def assert_consistent(row):
    """Rates above zero, and ratios that are those of the rates."""
    assert set(row) == COLUMNS
    assert row["ours"] > 0
    if row["floor"]:
        assert row["ratio_to_floor"] == pytest.approx(row["ours"] / row["floor"])
    if row["backprop"]:
        assert row["ratio_to_backprop"] == pytest.approx(row["backprop"] / row["ours"])


def test_peak_memory_is_refused_where_no_process_tells_it(monkeypatch):
    monkeypatch.setattr(memory.sys, "platform", "win32")
    with pytest.raises(ValueError, match=r"as Linux and macOS tell it. Received: .*'win32'"):
        next(memory.run())


def test_sides_take_turns():
    calls = []
    sides = {name: lambda name=name: calls.append(name) for name in "abc"}
    side_by_side.medians(sides, rounds=3, warmups=1)
    assert calls == list("abc") * 4


def test_medians_leave_out_warmups_and_outliers():
    durations = iter([0.2, 0.01, 0.2, 0.01, 0.01])
    seconds = side_by_side.medians({"a": lambda: time.sleep(next(durations))}, 4, 1)
    assert 0.01 <= seconds["a"] < 0.05


@pytest.mark.slow
@of_tensorflow
def test_step_compares_three_sides():
    rows = list(benchmarks.run("step", networks=[((20, 20), 16)], policies=["float32"], rounds=1))
    assert [row["case"] for row in rows] == [
        "784-20-20, batch 16, contrastive",
        "784-20-20, batch 16, class groups",
    ]
    for row in rows:
        assert_consistent(row)
        assert (row["bench"], row["dtype"], row["unit"]) == ("step", "float32", "samples/s")
        assert row["floor"] and row["backprop"]


@pytest.mark.slow
@of_tensorflow
def test_the_timed_steps_train():
    """Both networks move, and the model's weights are not the network's."""
    model = models.mlp((8, 8))
    model.compile("adam")
    model.build((None, 4, 4))
    network = model.to_backprop(carry_weights=False)
    network.compile("adam", "sparse_categorical_crossentropy")
    x, y = training_step.drawn(model, 6)
    assert x.shape == (6, 4, 4) and set(y) <= set(range(10))
    for each in (model, network):
        before = each.get_weights()
        training_step.stepper(each, x, y)()
        assert any(np.any(old != new) for old, new in zip(before, each.get_weights(), strict=True))


def products(model, batch_size, monkeypatch):
    """Shapes of all products that a floor does: of both factors."""
    found = []

    def dense(rows, transform):
        found.append((rows, *transform.kernel.shape))
        return (lambda: None, lambda: None)

    def convolution(shape, transform):
        found.append((*shape, *transform.kernel.shape))
        return (lambda: None, lambda: None)

    monkeypatch.setattr(floor, "_dense", dense)
    monkeypatch.setattr(floor, "_convolution", convolution)
    floor.of_step(model, batch_size)
    return found


def test_the_least_work_shares_the_first_dense_product(monkeypatch):
    """Two streams after the first layer with one negative, four with three; one in class groups."""
    model = FFModel([FFDense(7), FFDense(5)], 10, negatives=RandomLabels(count=3))
    model.compile()
    model.build((None, 12))
    assert products(model, 6, monkeypatch) == [(6, 22, 7), (24, 7, 5)]
    model = models.mlp((20, 10), class_groups=True)
    model.compile()
    model.build((None, 12))
    assert products(model, 6, monkeypatch) == [(6, 12, 20), (6, 20, 10)]


def test_the_least_work_of_convolutions(monkeypatch):
    layers = [FFConv2D(4, pooling=keras.layers.MaxPooling2D(2)), FFConv2D(3)]
    model = FFModel(layers, 2, label_embedding="spatial_pattern")
    model.compile()
    model.build((None, 8, 8, 1))
    (first, second) = products(model, 5, monkeypatch)
    assert first == (10, 8, 8, 1, 3, 3, 1, 4) and second == (10, 4, 4, 4, 3, 3, 4, 3)


def test_the_least_work_of_other_layers_is_not_known():
    model = FFModel([FFAttention(1, 4, patch_size=4)], 2, label_embedding="overlay")
    model.compile()
    model.build((None, 8, 8, 1))
    with pytest.raises(ValueError, match=r"Dense and Conv2D.*Received"):
        floor.of_step(model, 4)


def test_products_have_the_dtype_and_the_shapes_of_the_layers():
    keras.config.set_dtype_policy("mixed_bfloat16")
    layers = [FFConv2D(4, strides=2, padding="valid"), FFDense(6)]
    model = FFModel(layers, 2, label_embedding="overlay")
    model.compile()
    model.build((None, 9, 9, 1))
    pairs = floor._products(model, 5, streams=2)
    for (forward, backward), layer in zip(pairs, model.ff_layers, strict=True):
        assert forward().dtype == backward().dtype == "bfloat16"
        assert tuple(backward().shape) == tuple(layer.kernel.shape)
    assert tuple(pairs[0][0]().shape) == (10, 4, 4, 4) and tuple(pairs[1][0]().shape) == (10, 6)


@pytest.mark.slow
@of_tensorflow
def test_conv_and_predict(monkeypatch):
    # A smaller network: that the ResNet-17 trains, others test.
    monkeypatch.setattr(
        models, "resnet", lambda width, **arguments: models.cnn((width, width), **arguments)
    )
    (row,) = benchmarks.run(
        "conv", widths=[10], image_size=8, batch_size=4, policies=["float32"], rounds=1
    )
    assert_consistent(row)
    rows = list(benchmarks.run("predict", units=(20,), batch_size=8, policy="float32", rounds=1))
    assert len(rows) == 3
    for row in rows:
        assert_consistent(row)
        assert row["unit"] == "images/s"


@pytest.mark.slow
@of_tensorflow
def test_fit_beside_the_bare_step():
    cases = [("digits", {"shift": 1}, 256, "16 units", lambda: models.mlp((16,)))]
    (row,) = fit.run(cases, policy="float32", epochs=2)
    assert_consistent(row)
    assert row["floor"] > 0 and row["backprop"] is None


@pytest.mark.slow
@of_tensorflow
def test_fit_with_the_callback_beside_fit_without():
    chosen = {"units": (16,), "batch_size": 512, "epochs": 6}
    (row,) = benchmarks.run("callbacks", dataset="digits", **chosen)
    share = row.pop("share_of_training")
    assert_consistent(row)
    assert (row["unit"], row["backprop"]) == ("samples/s", None)
    assert row["case"] == "digits, 16, 6 epochs"
    # A training so short has it in most of its seconds, and the other side has nothing of it.
    assert share > 0.3 and row["ratio_to_floor"] < 0.9


@pytest.mark.slow
@of_tensorflow
def test_memory_of_a_process_of_its_own():
    peaks = [memory._in_own_process("ours", 1, 8, 8, size, "float32") for size in (4, 4096)]
    assert peaks[0] > 50  # there is TensorFlow in it
    assert peaks[1] > peaks[0] + 4096 * 8 * 8 * 8 * 4 / 2**20  # at least the samples


def test_slopes_of_memory(monkeypatch):
    """What grows with the batch is told from what grows with depth alone."""
    grows = {"ours": 0.5, "backprop": 6.0}

    def peak(method, depth, image_size, channels, batch_size, policy):
        return 700 + 3 * depth + grows[method] * depth * (batch_size - 1)

    monkeypatch.setattr(memory, "_in_own_process", peak)
    (row,) = memory.run(depths=(1, 2, 4), batch_size=11)
    assert row["unit"] == "MiB/layer"
    assert row["slope_ours"] == pytest.approx(8) and row["slope_backprop"] == pytest.approx(63)
    assert row["activities_ours"] == pytest.approx(5)
    assert row["activities_backprop"] == pytest.approx(60)
    assert row["ratio_to_backprop"] == pytest.approx(8 / 63)
    assert row["peaks_ours"] == pytest.approx([708, 716, 732])


@pytest.mark.slow
def test_recipes_and_backpropagation_are_timed_to_an_accuracy(eager_functions):
    changed = {"units": (20, 20), "epochs": 3, "learning_rate": 0.01, "dtype_policy": "float32"}
    rows = list(accuracy.run(rounds=1, targets={"digits": 0.12}, **changed))
    names = ["greedy", "simultaneous", "class groups", "backpropagation"]
    assert [row["case"].split(", ")[1] for row in rows] == names
    for row in rows:
        assert row["unit"] == "s" and row["best_accuracy"] >= 0.12
        assert row["ours"] == row["seconds"][0] > 0 and row["epochs"][0] <= 3
        assert row["ratio_to_backprop"] == pytest.approx(row["ours"] / rows[-1]["ours"])


def test_seconds_to_an_accuracy_that_is_never_reached_are_longer_than_all_others():
    clocks = [accuracy._Clock(0.5) for _ in range(3)]
    assert accuracy._median(clocks) is None
    clocks[0].seconds, clocks[1].seconds = 2.0, 4.0
    assert accuracy._median(clocks) == 4.0


@pytest.mark.slow
def test_whole_trainings_take_turns_from_their_start(monkeypatch):
    """The same network, samples, epochs and steps on both sides; each has an empty folder."""
    commands, folders = [], []

    def finished(command):
        commands.append([str(word) for word in command[1:]])
        folders.append(pathlib.Path(command[-1]))
        assert not list(folders[-1].iterdir())
        time.sleep(0.03 if "keras_ff_cli" in command else 0.01)

    monkeypatch.setattr(own_process, "finished", finished)
    (row,) = benchmarks.run("start", rounds=2)
    assert row["case"] == "digits, 300-300-300, 30 epochs, batch 64"
    assert 1.5 < row["ratio_to_backprop"] == row["ours"] / row["backprop"] < 6
    ours, plain = commands[:2]
    assert ours[:-1] == ["-m", "keras_ff_cli", "train", "--out"]
    text = " ".join(plain)
    assert "--epochs 30 --batch-size 64 --learning-rate 0.003" in text
    assert "--test-size 359 --validation-size 240 --units 300 300 300" in text
    # A turn that is not timed, and two that are.
    assert [command[:-1] for command in commands] == [ours[:-1], plain[:-1]] * 3
    assert len(set(folders)) == 6 and not any(folder.exists() for folder in folders)


@pytest.mark.slow
def test_both_whole_trainings_leave_what_they_should(monkeypatch):
    files, finished = [], own_process.finished

    def finish(command):
        finished(command)
        files.append({path.name for path in pathlib.Path(command[-1]).iterdir()})

    monkeypatch.setattr(own_process, "finished", finish)
    medians = functools.partial(side_by_side.medians, warmups=0)
    monkeypatch.setattr(side_by_side, "medians", lambda sides, rounds, warmups: medians(sides, 1))
    (row,) = benchmarks.run("start", units=(16,), epochs=1)
    assert row["case"] == "digits, 16, 1 epochs, batch 64" and row["ours"] > 1
    both = {"model.keras", "metrics.json", "learning_curves.png"}
    assert files[0] >= both and files[1] == both


@pytest.mark.parametrize("name", benchmarks.OF_TENSORFLOW)
def test_what_is_timed_under_tensorflow_alone_says_so(name, monkeypatch, capsys):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    assert cli.main(["bench", name]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "set KERAS_BACKEND=tensorflow" in captured.err
    assert "Under every backend there are callbacks, backends, system, accuracy" in captured.err


def test_unknown_benchmarks_are_refused():
    with pytest.raises(ValueError, match=r"'step'.*Received: 'steps'"):
        benchmarks.run("steps")


def test_the_command_prints_and_writes_rows(tmp_path, capsys, monkeypatch):
    rows = [
        side_by_side.row("step", "one case", "float32", "samples/s", 10, {"ours": 2.0}),
        side_by_side.row(
            "step", "another", "float32", "samples/s", 10, {"ours": 2.0, "floor": 1, "backprop": 4}
        ),
    ]
    taken = {}

    def run(name, **arguments):
        taken[name] = arguments
        return iter(rows)

    monkeypatch.setattr(benchmarks, "run", run)
    path = tmp_path / "rows.json"
    assert cli.main(["bench", "step", "memory", "--json", str(path), "--rounds", "4"]) == 0
    assert taken == {"step": {"rounds": 4}, "memory": {}}
    assert json.loads(path.read_text()) == 2 * rows
    machine, *lines = capsys.readouterr().out.splitlines()
    assert {"machine", "keras", keras.backend.backend()} <= set(json.loads(machine))
    assert lines[0] == "step: one case, float32 (samples/s): ours 5"
    assert lines[1].endswith(
        "ours 5, floor 10, backprop 2.5, ratio_to_floor 0.5, ratio_to_backprop 0.5"
    )
    assert cli.main(["bench", "steps"]) == 2
    assert "steps" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.tensorflow("layers have devices of their own under TensorFlow alone")
def test_pipeline_models_the_cost_and_measures_two_devices():
    arguments = {"units": 32, "batch_size": 16, "policy": "float32", "rounds": 2}
    *modelled, measured = benchmarks.run("pipeline", depths=(4,), devices=(1, 2, 8), **arguments)
    one, two = modelled  # eight devices are more than there are layers
    assert one["speedup"] == one["busy"] == 1 and one["moved"] == 0
    assert 0.5 < two["busy"] < 1 and two["ours"] < two["one_device"]
    assert two["speedup"] == pytest.approx(2 * two["busy"])
    weights = models.mlp((32,) * 4)
    weights.build((None, 28, 28))
    assert two["moved_data_parallel"] == pytest.approx(2 * 4 * weights.count_params() / 2**20)
    # Two streams of 32 activities, samples and two labels each travel on.
    assert two["moved"] * 2**20 > 4 * 16 * (2 * 32 + 784)
    assert measured["ours"] > 0 and 0 < measured["busy"] <= 1


@pytest.mark.slow
def test_backends_take_turns_in_processes_of_their_own():
    (row,) = benchmarks.run("backends", units=(16,), batch_size=16, batches=3, rounds=1)
    assert row["jax"] > 0 and row["tensorflow"] > 0
    assert row["ratio_to_tensorflow"] == pytest.approx(row["jax"] / row["tensorflow"])


def test_the_machine_is_sampled_while_something_runs():
    block = np.ones(2**22)
    with system.Samples(interval=0.01) as samples:
        held = [block + 1.0 for _ in range(6)]  # 192 MiB
        time.sleep(0.1)
    taken = samples.taken
    assert len(taken["processor"]) == len(taken["memory"]) >= 3
    assert set(taken) <= set(system.SAMPLED)
    assert max(taken["memory"]) > 100 and len(held) == 6
    assert all(value >= 0 for values in taken.values() for value in values)


@pytest.mark.slow
def test_system_measures_each_network_and_draws_it(tmp_path, capsys):
    rows = list(benchmarks.run("system", dataset="digits", units=(30, 20), epochs=3, interval=0.02))
    assert [row["network"] for row in rows] == list(system.NETWORKS)
    for row in rows:
        assert row["seconds"] > sum(row["epochs"]) * 0.9 and len(row["epochs"]) == 3
        assert row["median_processor"] > 0 and row["median_memory"] > 100
        assert len(row["layers"]) == (0 if row["network"] == system.BACKPROPAGATION else 2)
    system.picture(rows).savefig(tmp_path / "system.png")
    assert (tmp_path / "system.png").stat().st_size > 5000
    assert cli.main(["bench", "memory", "--picture", str(tmp_path / "none.png")]) == 2
    assert "--picture is for the benchmark 'system'" in capsys.readouterr().err
