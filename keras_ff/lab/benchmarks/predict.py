"""Scores by every readout."""

import keras

from keras_ff import models
from keras_ff.lab.benchmarks import floor, side_by_side, training_step

READOUTS = {
    "goodness, one pass per class": {"readout": "goodness"},
    "softmax, one pass": {"readout": "softmax"},
    "class groups, one pass": {"class_groups": True},
}


def run(units=(2000,) * 4, batch_size=512, policy="mixed_bfloat16", rounds=9):
    """Rows of `predict`, in images/s: ours, the products alone, and the plain network."""
    keras.config.set_dtype_policy(policy)
    for name, arguments in READOUTS.items():
        model = models.mlp(units, **arguments)
        model.compile("adam")
        model.build((None, 28, 28))
        network = model.to_backprop()
        x, _ = training_step.drawn(model, batch_size)
        sides = {
            "ours": training_step.scorer(model, x),
            "floor": floor.of_prediction(model, batch_size),
            "backprop": training_step.scorer(network, x),
        }
        seconds = side_by_side.medians(sides, rounds)
        case = f"784-{'-'.join(map(str, units))}, batch {batch_size}, {name}"
        yield side_by_side.row("predict", case, policy, "images/s", batch_size, seconds)
