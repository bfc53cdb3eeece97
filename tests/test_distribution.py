"""Several devices and several processes: the outcome is that of one.

They are started with the backend under which these tests run.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import keras_ff
from keras_ff import cli, distribution
from keras_ff.layer_schedules import Pipelined
from keras_ff.layers import FFDense
from keras_ff_cli.exit_codes import USER_ERROR
from tests.helpers import ROOT

SCRIPTS = ROOT / "tests" / "scripts"
BACKEND = keras.backend.backend()
# By case, how many samples there are and how many in a batch. Under TensorFlow the last batch may
# be uneven: of it one device has two samples and the other one; or one and none.
UNEVEN = BACKEND == "tensorflow"  # JAX itself refuses batches that its devices cannot share equally
MAIN = (
    "learned threshold:400/20",
    f"class groups:{403 if UNEVEN else 400}/20",
    f"peer normalisation:{401 if UNEVEN else 400}/20",
)
OTHERS = (
    f"greedy hard labels and auxiliary terms:{403 if UNEVEN else 400}/20",
    "adversarial and label map:400/20",
    "hybrid images:400/20",
)
# Metrics in training are measured on some of each replica's samples, which are others.
OTHERWISE = {"accuracy"}


def start(*arguments, environment=()):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, **dict(environment)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(*processes):
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output[-3000:]


def free_port():
    """The first of two neighbouring ports that are free."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


def train_replicas(folder, kind, cases, workers=1):
    """By the files that they write, weights and metrics by case."""
    port = free_port()
    arguments = (SCRIPTS / "replicas.py", BACKEND, kind, ",".join(cases), folder)
    finished(*[start(*arguments, number, port) for number in range(workers)])
    return {path.stem: dict(np.load(path)) for path in folder.glob("*.npz")}


@pytest.fixture(scope="module")
def on_devices(tmp_path_factory):
    """What two devices and one of them came to."""
    return train_replicas(tmp_path_factory.mktemp("on_devices"), "devices", MAIN + OTHERS)


def assert_same(ours, expected, number_of_copies):
    names = [name for name in ours if "|history|" not in name]
    assert len(names) == number_of_copies * len([one for one in expected if one.endswith("|0")])
    for name in names:
        case, number, _ = name.split("|")
        np.testing.assert_allclose(
            ours[name], expected[f"{case}|{number}|0"], atol=1e-5, err_msg=name
        )
    for name in set(ours) - set(names):
        if name.split("|")[-1] not in OTHERWISE:
            np.testing.assert_allclose(
                ours[name], expected[name], rtol=1e-4, atol=1e-6, err_msg=name
            )


@pytest.mark.slow
def test_two_devices_take_the_steps_of_one(on_devices):
    """Twenty steps at the same global batch."""
    assert_same(on_devices["devices-0"], on_devices["one-0"], number_of_copies=2)


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(on_devices, tmp_path):
    one = {
        name: value for name, value in on_devices["one-0"].items() if name.partition("|")[0] in MAIN
    }
    for worker in train_replicas(tmp_path, "workers", MAIN, workers=2).values():
        assert_same(worker, one, number_of_copies=1)


def start_run(folder, port=None, number=0, resume=False):
    arguments = ["train", "--out", folder, "--units", "40,40", "--epochs", "5", "--seed", "3"]
    # Which learns when the layers have.
    arguments += ["--readout", "softmax", "--readout-epochs", "9"]
    environment = {"KERAS_BACKEND": BACKEND}
    if port is not None:
        arguments += ["--distribution", "workers", "--tensorboard"]
        environment |= {
            "TF_CONFIG": json.dumps(
                {
                    "cluster": {"worker": [f"127.0.0.1:{port}", f"127.0.0.1:{port + 1}"]},
                    "task": {"type": "worker", "index": number},
                }
            ),
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
            "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
        }
    if resume:
        arguments.append("--resume")
    return start("-m", "keras_ff.cli", *arguments, environment=environment)


def history(folder):
    return json.loads((folder / "history.json").read_text())


@pytest.mark.slow
def test_a_killed_worker_and_a_restart_end_as_if_undisturbed(tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    finished(start_run(alone))
    port = free_port()
    workers = [start_run(together, port, number) for number in range(2)]
    deadline = time.time() + 300
    while not (together / "history.json").exists() or len(history(together)["loss"]) < 2:
        assert time.time() < deadline and workers[0].poll() is None
        time.sleep(0.02)
    workers[1].send_signal(signal.SIGKILL)
    time.sleep(0.2)
    for worker in workers:
        worker.kill()
        worker.communicate()
    assert 2 <= len(history(together)["loss"]) < 5
    port = free_port()
    finished(*[start_run(together, port, number, resume=True) for number in range(2)])
    ours, expected = history(together), history(alone)
    assert len(ours["loss"]) == 5
    for name in set(expected) - OTHERWISE:
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-3, err_msg=name)
    metrics = [json.loads((folder / "metrics.json").read_text()) for folder in (alone, together)]
    assert metrics[0]["test_accuracy"] == pytest.approx(metrics[1]["test_accuracy"], abs=0.003)
    assert metrics[1]["test_accuracy"] > 0.8
    # What the first worker shows has every epoch, the repeated one twice.
    shown = EventAccumulator(str(together / "tensorboard" / "train"), {"tensors": 0}).Reload()
    assert {event.step for event in shown.Tensors("layer_1/loss")} == set(range(5))


TWO_PROCESSORS = """
import tensorflow as tf
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
import keras, keras_ff, numpy as np
"""


def output_of(script, before=TWO_PROCESSORS, environment=()):
    process = start("-c", before + textwrap.dedent(script), environment=environment)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    return output


@pytest.mark.slow
@pytest.mark.tensorflow("the scope of a strategy")
def test_parts_from_outside_the_scope_are_refused():
    output = output_of(
        """
        x, y = np.random.rand(8, 4), np.arange(8)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        source = keras_ff.negatives.RandomLabels()
        for settings in ({"negatives": source}, {"layer_schedule": "alternating"},
                         {"layer_schedule": "pipelined"}):
            with strategy.scope():
                model = keras_ff.FFModel([keras_ff.layers.FFDense(4)], 10, **settings)
                model.compile()
            try:
                model.fit(x, y, verbose=0)
            except ValueError as error:
                print(error)
        """
    )
    assert "within `strategy.scope()`" in output and "which has no copies" in output
    for schedule in ("Alternating()", "Pipelined("):
        assert f"Received: layer_schedule={schedule}" in output


@pytest.mark.slow
@pytest.mark.skipif(BACKEND != "jax", reason="Under JAX only")
def test_every_device_computes_its_part():
    output = output_of(
        """
        import jax, keras, keras_ff, numpy as np
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        layer = keras_ff.layers.FFDense(6)
        layer.build((None, 4))
        activities_of = jax.jit(lambda x: layer.forward(keras_ff.layers.Batch(x, streams=1)))
        for rows in (8, 7):
            activities = activities_of(np.ones((rows, 4)))
            print([shard.data.shape for shard in activities.addressable_shards])
        """,
        before="",
        environment={
            "KERAS_BACKEND": "jax",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        },
    )
    assert "[(4, 6), (4, 6)]" in output and "[(7, 6)]" in output


@pytest.mark.slow
@pytest.mark.tensorflow("layers on devices of their own")
def test_layers_on_devices_of_their_own_end_as_on_one(tmp_path):
    """To the last bit; both devices work in every step, and what is saved goes on there."""
    process = start(SCRIPTS / "placed_layers.py", tmp_path / "model.keras")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    assert output.count("weights 0.0 metrics True places 00110011") == 2
    assert output.count("went on 0.0 places 00110011") == 2
    assert output.count("threads True devices ['cpu:0', 'cpu:1']") == 2


@pytest.mark.slow
@pytest.mark.tensorflow("layers on devices of their own")
def test_devices_that_are_not_there():
    with pytest.warns(UserWarning, match="There is no device 'gpu:7'"):
        model = keras_ff.FFModel(
            [FFDense(4), FFDense(4)], 10, layer_schedule=Pipelined(["cpu:0", "gpu:7"])
        )
    assert model.layer_devices == [None, None]
    model.compile(metrics=["accuracy"])
    model.fit(np.ones((8, 4)), np.arange(8), verbose=0)
    assert model.layer_schedule.get_config() == {"devices": ["cpu:0", "gpu:7"]}


@pytest.mark.parametrize("devices", ["cpu:0", [], [0]])
def test_devices_must_be_names(devices):
    with pytest.raises(ValueError, match=r"`devices` must be a list of device names.*Received"):
        Pipelined(devices)


@pytest.mark.tensorflow("layers on devices of their own")
def test_neighbouring_layers_share_a_device():
    names = keras.distribution.list_devices("cpu")
    assert Pipelined(names).devices_of(3) == [names[0]] * 3


def test_an_unknown_distribution_is_refused():
    with pytest.raises(ValueError, match=r"Did you mean 'devices'\?.*distribution='device'"):
        distribution.get("device")


def test_workers_need_a_folder_that_they_share(capsys):
    assert cli.main(["train", "--distribution", "workers"]) == USER_ERROR
    assert "--out" in capsys.readouterr().err
