"""A training step of DeeperForward's ResNet-17."""

import keras

from keras_ff import models
from keras_ff.lab.benchmarks import side_by_side, training_step
from keras_ff.lab.benchmarks.step import POLICIES


def run(widths=(20, 40), image_size=32, batch_size=128, policies=POLICIES, rounds=9):
    """Rows of `conv`, in images/s: ours, the least possible, and backpropagation."""
    for width in widths:
        for policy in policies:
            keras.config.set_dtype_policy(policy)
            # Random numbers are no part of the comparison.
            model = models.resnet(width, dropout=0.0, readout="goodness")
            model.compile("adam")
            model.build((None, image_size, image_size, 3))
            seconds = training_step.seconds(model, batch_size, rounds)
            case = f"ResNet-17, width {width}, batch {batch_size}, class groups, no dropout"
            yield side_by_side.row("conv", case, policy, "images/s", batch_size, seconds)
