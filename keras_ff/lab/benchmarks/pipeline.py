"""Layers on devices of their own: how a step gets shorter, and what has to be moved."""

import json
import statistics
import sys
import time

import keras

from keras_ff import models
from keras_ff.lab.benchmarks import own_process, side_by_side, training_step
from keras_ff.layer_schedules import Pipelined

MIB = 2**20


def run(
    depths=(4, 8, 16),
    devices=(1, 2, 4, 8),
    units=2000,
    batch_size=512,
    policy="mixed_bfloat16",
    rounds=9,
):
    """Rows of `pipeline`, in ms per step: by a model of the cost, and measured on two devices.

    The model: every layer's step is timed by itself, and so is moving a batch from one layer to the
    next. With neighbouring layers on each device, a step takes what the slowest device does, and a
    batch's move where there are several. `busy` is the share of their time in which devices work.
    `moved` are the MiB that all devices together send in a step, `moved_data_parallel` those of
    data parallelism on as many devices, which sums the gradients of all weights in a ring.

    Measured are two halves of this machine's processor, which share its cores: they tell whether
    both work in every step, not how fast two processors would be.
    """
    for depth in depths:
        keras.config.set_dtype_policy(policy)
        seconds, move, size, weights = _costs(depth, units, batch_size, rounds)
        for number in [number for number in devices if number <= depth]:
            runs = [0.0] * number
            for index, layer_seconds in enumerate(seconds):
                runs[index * number // depth] += layer_seconds
            step = max(runs) + (move if number > 1 else 0.0)
            yield {
                **_case(depth, units, batch_size, policy, f"{number} device(s), modelled"),
                "ours": 1000 * step,
                "one_device": 1000 * sum(seconds),
                "speedup": sum(seconds) / step,
                "busy": sum(seconds) / (number * step),
                "moved": (number - 1) * size / MIB,
                "moved_data_parallel": 2 * (number - 1) * weights / MIB,
            }
    depth = depths[0]
    measured = own_process.result(
        "keras_ff.lab.benchmarks.pipeline", depth, units, batch_size, rounds, policy
    )
    yield {**_case(depth, units, batch_size, policy, "2 devices, measured"), **measured}


def _case(depth, units, batch_size, policy, what):
    case = f"{depth} × {units}, batch {batch_size}, {what}"
    return {"bench": "pipeline", "case": case, "dtype": policy, "unit": "ms/step"}


def _costs(depth, units, batch_size, rounds):
    """Seconds of every layer's step and of a batch's move, bytes of a batch and of all weights."""
    model, batch = _under_way(depth, units, batch_size)
    pipeline = model._fitting.start(model, False)
    waiting = list(pipeline.waiting[:-1])
    waiting[0] = (*batch, None)
    parts = [part for part in keras.tree.flatten(waiting[1]) if keras.ops.is_tensor(part)]
    stages = {
        index: lambda index=index: pipeline.stages[index](*waiting[index])["metrics"][-1][
            "loss"
        ].numpy()
        for index in range(depth)
    }
    stages["move"] = lambda: [keras.ops.convert_to_numpy(part).copy() for part in parts]
    found = side_by_side.medians(stages, rounds)
    move = found.pop("move")
    size = sum(keras.ops.convert_to_numpy(part).nbytes for part in parts)
    return list(found.values()), move, size, 4 * model.count_params()


def _under_way(depth, units, batch_size, devices=None):
    """A model, a batch, and its pipeline, which is full."""
    model = models.mlp((units,) * depth, layer_schedule=Pipelined(devices))
    model.compile("adam")
    model.build((None, 28, 28))
    batch = training_step.drawn(model, batch_size)
    pipeline = model._fitting.start(model, False)
    for _ in range(depth + 1):
        pipeline.advance(*batch)
    return model, batch


def on_two_devices(depth, units, batch_size, rounds):
    """Medians of a step and of the share of it in which each of two devices works."""
    import tensorflow as tf

    processor = tf.config.list_physical_devices("CPU")[0]
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(processor, halves)
    model, batch = _under_way(depth, units, batch_size, ["cpu:0", "cpu:1"])
    pipeline = model._fitting.start(model, False)
    work, worked, steps, shares = pipeline._work_on_device, [], [], []

    def timed(run):
        start = time.perf_counter()
        results = work(run)
        worked.append(time.perf_counter() - start)
        return results

    pipeline._work_on_device = timed
    for _ in range(rounds):
        worked.clear()
        start = time.perf_counter()
        pipeline.advance(*batch)
        steps.append(time.perf_counter() - start)
        shares.append(sum(worked) / (2 * steps[-1]))
    return {"ours": 1000 * statistics.median(steps), "busy": statistics.median(shares)}


if __name__ == "__main__":
    *numbers, dtype_policy = sys.argv[1:]
    keras.config.set_dtype_policy(dtype_policy)
    print(json.dumps(on_two_devices(*map(int, numbers))))
