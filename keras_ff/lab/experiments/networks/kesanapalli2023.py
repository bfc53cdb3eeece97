"""Kesanapalli et al. 2023: four dense layers, greedily, and small networks by backpropagation."""

import functools

import keras

import keras_ff
from keras_ff.lab.experiments.networks import metrics, plain
from keras_ff.lab.experiments.table import Cell
from keras_ff.layers import FFDense
from keras_ff.losses import Logistic
from keras_ff.recipes import TrainingConfig

LAYERS, EPOCHS_PER_LAYER = 4, 60
BACKPROPAGATION_EPOCHS = 20
THRESHOLDS = {
    "mnist": 15.0,
    "fashion_mnist": 10.0,
    "svhn_cropped_10k": 10.0,
    "cifar10": 10.0,
    "cifar100": 1.0,
}
# A label as high as a standardised image's brightest pixel has about this share of its energy.
LABEL_STRENGTHS = {"mnist": 0.01, "fashion_mnist": 0.01}
LABEL_STRENGTH_IN_COLOUR = 0.002
# The share of the training images that the source measures itself on, which it does not have apart.
VALIDATION_IMAGES = 2000
SIZES = {
    "mnist": 60_000,
    "fashion_mnist": 60_000,
    "svhn_cropped_10k": 8_000,
    "cifar10": 50_000,
    "cifar100": 50_000,
}
REMARKS = (
    "As published: four layers of 2000 ReLU, the label over the first pixels, inputs scaled to "
    "length 1, sums of squares against a threshold of 15 on MNIST, 1 on CIFAR-100 and 10 on the "
    "others, one layer after the other, batches of 512, Adam at 0.02; backpropagation with 250 and "
    "110 ReLU, on SVHN 75 and 50, batches of 256, Adam at 0.0067. Ours keeps up to 2,000 images "
    "for validation, and never draws the true label as a wrong one. The source has 60 epochs per "
    "layer, and 20 of backpropagation."
)


def config(dataset, epochs, samples=None, **changed):
    """Its data, of which up to 2,000 images are kept for validation."""
    count = samples or SIZES[dataset]
    return TrainingConfig(
        dataset=dataset,
        epochs=epochs,
        samples=samples,
        validation_share=min(VALIDATION_IMAGES / count, 0.2),
        **changed,
    )


def cell(row, dataset, published, epochs_per_layer=10, samples=None, **chosen):
    """A cell of its Forward-Forward network."""
    full = config(dataset, LAYERS * EPOCHS_PER_LAYER, samples, batch_size=512)
    return Cell(
        row,
        config(dataset, LAYERS * epochs_per_layer, samples, batch_size=512),
        published,
        network=functools.partial(network, dataset),
        as_published=True,
        source_epochs=LAYERS * EPOCHS_PER_LAYER,
        full={"config": full},
        validation_freq=10,
        **chosen,
    )


def backpropagation_cell(row, dataset, published, samples=None, **chosen):
    """A cell of its network for backpropagation."""
    units = (75, 50) if dataset.startswith("svhn") else (250, 110)
    return Cell(
        row,
        config(dataset, BACKPROPAGATION_EPOCHS, samples, batch_size=256),
        published,
        backpropagation=True,
        network=functools.partial(backpropagation_network, units),
        as_published=True,
        source_epochs=BACKPROPAGATION_EPOCHS,
        **chosen,
    )


def network(dataset, sample_shape, num_classes, epochs, steps):
    """Four dense layers, the squares of which are summed and held against a threshold."""
    del sample_shape, epochs, steps  # the rate is constant
    return compiled(dense_layers((2000,) * LAYERS), num_classes, dataset)


def backpropagation_network(units, sample_shape, num_classes, epochs, steps, learning_rate=6.7e-3):
    """Dense layers and a softmax."""
    del epochs, steps
    return plain(sample_shape, units, num_classes, keras.optimizers.Adam(learning_rate))


def dense_layers(units):
    """Dense layers as it has them, whatever their widths."""
    return [
        FFDense(width, normalization=keras.layers.UnitNormalization(), goodness="sum_of_squares")
        for width in units
    ]


def compiled(layers, num_classes, dataset="mnist", learning_rate=0.02):
    """A network of layers that learn one after the other, as it trains them."""
    strength = LABEL_STRENGTHS.get(dataset, LABEL_STRENGTH_IN_COLOUR)
    model = keras_ff.FFModel(
        layers,
        num_classes,
        label_embedding=keras_ff.labels.Overlay(strength),
        layer_schedule="greedy",
    )
    loss = Logistic(threshold=THRESHOLDS[dataset])
    model.compile(keras.optimizers.Adam(learning_rate), loss, metrics=metrics())
    return model
