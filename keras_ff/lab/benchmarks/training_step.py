"""One training step: of a model, of the same network by backpropagation, and the least possible."""

import keras
import numpy as np

from keras_ff.lab.benchmarks import floor, side_by_side


def seconds(model, batch_size, rounds=9):
    """Median seconds of a step by Forward-Forward, by backpropagation, and at the least."""
    network = model.to_backprop(carry_weights=False)
    network.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy")
    x, y = drawn(model, batch_size)
    sides = {
        "ours": stepper(model, x, y),
        "floor": floor.of_step(model, batch_size),
        "backprop": stepper(network, x, y),
    }
    return side_by_side.medians(sides, rounds)


def drawn(model, batch_size):
    """Random samples and labels for a built model."""
    generator = np.random.default_rng(0)
    x = generator.random((batch_size, *model.sample_shape), "float32")
    return x, generator.integers(0, model.num_classes, batch_size)


def stepper(model, x, y):
    """A function that takes one compiled training step, always on the same batch."""
    import tensorflow as tf

    batches = iter(tf.data.Dataset.from_tensors((x, y)).cache().repeat())
    model.make_train_function()
    return lambda: model.train_function(batches)


def scorer(model, x):
    """A function that scores a batch, always the same one."""
    import tensorflow as tf

    batch = [(tf.constant(x),)]
    model.make_predict_function()
    return lambda: model.predict_function(batch)
