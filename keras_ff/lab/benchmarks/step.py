"""A training step of dense layers."""

import keras

from keras_ff import models
from keras_ff.lab.benchmarks import side_by_side, training_step

# Units of the layers, and the batch size.
NETWORKS = (((2000,) * 4, 512), ((1000,) * 3, 100))
POLICIES = ("mixed_bfloat16", "float32")


def run(networks=NETWORKS, policies=POLICIES, rounds=15):
    """Rows of `step`, in samples/s: ours, the least possible, and backpropagation."""
    for units, batch_size in networks:
        for family in ("contrastive", "class groups"):
            for policy in policies:
                keras.config.set_dtype_policy(policy)
                model = models.mlp(units, class_groups=family == "class groups")
                model.compile("adam")
                model.build((None, 28, 28))
                case = f"784-{'-'.join(map(str, units))}, batch {batch_size}, {family}"
                seconds = training_step.seconds(model, batch_size, rounds)
                yield side_by_side.row("step", case, policy, "samples/s", batch_size, seconds)
