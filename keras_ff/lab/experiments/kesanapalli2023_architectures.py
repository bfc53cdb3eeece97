"""Kesanapalli et al. 2023, sections 5.2 and 5.3: hybrids, convolutions and attention on MNIST."""

import keras

from keras_ff import models, readouts
from keras_ff.lab.experiments import convolutional_recipes
from keras_ff.lab.experiments.networks import kesanapalli2023, metrics
from keras_ff.lab.experiments.table import Cell, Table
from keras_ff.layers import FFAttention, FFConv2D
from keras_ff.losses import LabelSoftmax
from keras_ff.optimizers.learning_rates import ConstantThenLinear
from keras_ff.recipes import TrainingConfig

FORWARD_FIRST, BACKWARD_FIRST = "Forward-Forward first", "backpropagation first"
CROSS_ENTROPY = "sparse_categorical_crossentropy"
# Of its layers, whatever the network; and of each stage of ours.
EPOCHS_PER_LAYER, OUR_EPOCHS = 10, 8


def convolutions(sample_shape, num_classes, epochs, steps):
    """Two convolutions, pooled, and two dense layers, one after the other."""
    del sample_shape, epochs, steps
    layers = [
        FFConv2D(
            filters,
            5,
            padding=padding,
            normalization=keras.layers.UnitNormalization(axis=(1, 2, 3)),
            goodness="sum_of_squares",
            pooling=keras.layers.MaxPooling2D(2),
        )
        for filters, padding in ((6, "same"), (16, "valid"))
    ]
    layers += kesanapalli2023.dense_layers((2000, 2000))
    return kesanapalli2023.compiled(layers, num_classes)


def attention(sample_shape, num_classes, epochs, steps):
    """Attention among patches, the label in the first of them, then three dense layers."""
    del sample_shape, epochs, steps
    patches = FFAttention(
        4, 20, patch_size=4, goodness="sum_of_squares", optimizer=keras.optimizers.Adam(1e-3)
    )
    dense = kesanapalli2023.dense_layers((2000,) * 3)
    return kesanapalli2023.compiled([patches, *dense], num_classes)


def labelled_patches(sample_shape, num_classes, epochs, steps):
    """Attention with the label in every patch, as the source suggests."""
    del sample_shape
    model = models.vision_attention(
        4,
        num_heads=4,
        key_dim=32,
        units=(1000,) * 2,
        num_classes=num_classes,
        negatives="all_labels",
    )
    rate = ConstantThenLinear(1e-3, epochs * steps)
    model.compile(keras.optimizers.Adam(rate), "label_softmax", metrics=metrics())
    return model


# --- one after the other, as published -----------------------------------------------------------


def small_layers(sample_shape, num_classes, epochs, steps):
    """The layers of its network for backpropagation, by Forward-Forward."""
    del sample_shape, epochs, steps
    return kesanapalli2023.compiled(kesanapalli2023.dense_layers((250, 110)), num_classes)


def large_network(*made_for):
    """A plain network of the layers' width, by backpropagation."""
    return kesanapalli2023.backpropagation_network((2000,) * 4, *made_for)


def plainly_on(model, sample_shape, num_classes, epochs, steps):
    """Weights of Forward-Forward layers in a plain network, without their normalisation."""
    units = [layer.units for layer in model.ff_layers]
    network = kesanapalli2023.backpropagation_network(
        units, sample_shape, num_classes, epochs, steps, learning_rate=1e-4
    )
    for layer, own in zip(network.layers[1:], model.ff_layers, strict=False):
        layer.set_weights([own.kernel, own.transform.bias])
    return network


def layers_on(network, sample_shape, num_classes, epochs, steps):
    """Weights of a plain network in Forward-Forward layers."""
    del epochs, steps
    *dense, _ = [layer for layer in network.layers if isinstance(layer, keras.layers.Dense)]
    layers = kesanapalli2023.dense_layers([layer.units for layer in dense])
    model = kesanapalli2023.compiled(layers, num_classes, learning_rate=1e-3)
    model.build((None, *sample_shape))
    for layer, own in zip(dense, model.ff_layers, strict=True):
        own.transform.set_weights(layer.get_weights())
    return model


# --- one after the other, ours -------------------------------------------------------------------


def our_layers(sample_shape, num_classes, epochs, steps):
    """Two layers of 1000, all wrong labels as negatives."""
    model = models.mlp(
        (1000, 1000),
        num_classes,
        negatives="all_labels",
        readout=readouts.Goodness("validation"),
    )
    rate = ConstantThenLinear(1e-3, epochs * steps)
    model.compile(keras.optimizers.Adam(rate), LabelSoftmax(alpha=32.0), metrics=metrics())
    model.build((None, *sample_shape))
    return model


def our_network(sample_shape, num_classes, epochs, steps):
    """The same layers, normalisation included, by backpropagation."""
    model = our_layers(sample_shape, num_classes, epochs, steps)
    return _by_backpropagation(model.to_backprop(carry_weights=False), epochs * steps)


def ours_on(model, sample_shape, num_classes, epochs, steps):
    """Backpropagation from the weights of Forward-Forward layers."""
    del sample_shape, num_classes
    return _by_backpropagation(model.to_backprop(), epochs * steps)


def our_layers_on(network, sample_shape, num_classes, epochs, steps):
    """Forward-Forward from the weights of backpropagation, scaled to meet the goodness."""
    model = our_layers(sample_shape, num_classes, epochs, steps)
    x, y = next(iter(_our_config(1).load_data()[0]))
    model.carry_from_backprop(network, x, y)
    return model


def _by_backpropagation(network, steps):
    network.compile(
        keras.optimizers.Adam(ConstantThenLinear(1e-3, steps)), CROSS_ENTROPY, metrics=metrics()
    )
    return network


def _our_config(epochs):
    return TrainingConfig(dataset="mnist", epochs=epochs, batch_size=128, shift=2)


def _stage(network, epochs=OUR_EPOCHS, **own):
    return Cell("first", _our_config(epochs), None, network=network, **own)


# --- cells ---------------------------------------------------------------------------------------


def _as_published():
    def config(epochs, batch_size=512):
        return kesanapalli2023.config("mnist", epochs, batch_size=batch_size)

    own = {"as_published": True, "published_text": "about 10", "validation_freq": 10}
    backward = kesanapalli2023.BACKPROPAGATION_EPOCHS
    per_layer = kesanapalli2023.EPOCHS_PER_LAYER
    yield Cell(
        FORWARD_FIRST,
        config(backward, 256),
        10.0,
        backpropagation=True,
        network=plainly_on,
        first=Cell("first", config(2 * EPOCHS_PER_LAYER), None, network=small_layers),
        source_epochs=backward,
        **own,
    )
    first = {"backpropagation": True, "network": large_network}
    yield Cell(
        BACKWARD_FIRST,
        config(4 * EPOCHS_PER_LAYER),
        10.0,
        network=layers_on,
        first=Cell("first", config(backward, 256), None, **first),
        source_epochs=4 * per_layer,
        **own,
    )
    own["published_text"] = ""
    yield Cell(
        "convolutions",
        config(4 * EPOCHS_PER_LAYER),
        10.75,
        network=convolutions,
        source_epochs=1000,
        **own,
    )
    own["published_text"] = "about 60"
    yield Cell(
        "attention, label in one patch",
        config(4 * EPOCHS_PER_LAYER),
        60.0,
        network=attention,
        source_epochs=4 * per_layer,
        **own,
    )


def _ours():
    stage = _our_config(OUR_EPOCHS)
    for epochs, name in ((OUR_EPOCHS, "one stage"), (2 * OUR_EPOCHS, "two stages")):
        yield Cell(
            f"backpropagation alone, {name}",
            _our_config(epochs),
            None,
            backpropagation=True,
            network=our_network,
        )
    yield Cell(
        FORWARD_FIRST,
        stage,
        10.0,
        backpropagation=True,
        published_text="about 10",
        network=ours_on,
        first=_stage(our_layers),
    )
    yield Cell(
        BACKWARD_FIRST,
        stage,
        10.0,
        published_text="about 10",
        network=our_layers_on,
        first=_stage(our_network, backpropagation=True),
    )
    yield Cell(
        "convolutions", convolutional_recipes.class_groups("mnist", dtype_policy="float32"), 10.75
    )
    yield Cell(
        "attention, label in every patch",
        _our_config(12),
        60.0,
        published_text="about 60, in one patch",
        network=labelled_patches,
    )


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    return Table(
        name="kesanapalli2023_architectures",
        title="Hybrids, convolutions and attention on MNIST",
        source="Kesanapalli, Rangarajan, Jain and Jain 2023, sections 5.2 and 5.3",
        rows="network",
        cells=(*_as_published(), *_ours()),
        remarks=(
            f"{kesanapalli2023.REMARKS} Hybrids are trained by one method and then by the other; "
            "epochs are those of the second stage. As published, weights go over without the "
            "layers' normalisation; Forward-Forward comes first on layers of 250 and 110, which "
            "then learn at 0.0001, and second on four of 2000, at 0.001. Ours, two layers of "
            "1000, carry their normalisation along, have a head that starts at zero or scale "
            "weights so that goodness meets the loss, and are to be compared with backpropagation "
            "alone for one stage and for both. Patches have 4 × 4 pixels, which the source does "
            "not say; its attention learns at 0.001."
        ),
    )
