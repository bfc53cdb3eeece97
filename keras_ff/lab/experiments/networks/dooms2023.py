"""Dooms 2023: the convolutions of the Trifecta and the steps that lead to it, on CIFAR-10."""

import functools

import keras

import keras_ff
from keras_ff import losses, readouts
from keras_ff.lab.experiments.networks import metrics
from keras_ff.lab.experiments.table import Cell
from keras_ff.models.architectures.ready import convolutions
from keras_ff.models.architectures.vgg import VARIANTS
from keras_ff.recipes import TrainingConfig

# Two cores train a quarter of the width on 20,000 images.
WIDTH, IMAGES, EPOCHS = 0.25, 20_000, 15
DATA = {"batch_size": 512, "shift": 4, "rotate": 15.0, "validation_share": 0.1}
# The rates of its longest training, and the shares of its epochs after which they change.
RATES, CHANGES = (1e-3, 5e-4, 1e-4), (0.4, 0.8)
REMARKS = (
    "As published, but for the width, of which ours have a quarter, the 20,000 images and the 15 "
    "epochs: convolutions of 3 × 3 without bias, max-pooling, the label a learned channel, "
    "positives and negatives in one batch of 512 pairs, Adam at 0.001, images shifted by up to 4 "
    "pixels and turned by up to 15°; the last layer scores. `--budget full` has the whole width, "
    "all images and the source's epochs, which needs a GPU."
)


def config(epochs=EPOCHS, samples=IMAGES, dataset="cifar10"):
    """Its data: CIFAR-10, or as many of its images, a tenth of them for validation."""
    return TrainingConfig(dataset=dataset, epochs=epochs, samples=samples, **DATA)


def cell(row, published, source_epochs=100, measures_layers=True, **own):
    """A cell of its networks; `own` are arguments of `network`."""
    return Cell(
        row,
        config(),
        published,
        network=functools.partial(network, **own),
        as_published=True,
        source_epochs=source_epochs,
        full={
            "config": config(source_epochs, None),
            "network": functools.partial(network, **{**own, "width": 1.0}),
        },
        measures_layers=measures_layers,
        kind="local classifiers" if own.get("proxies") else "",
    )


def network(
    sample_shape,
    num_classes,
    epochs,
    steps,
    variant="trifecta_6",
    width=WIDTH,
    loss="symba",
    normalization="batch",
    pairs=True,
    proxies=False,
    falling_rates=False,
):
    """Convolutions that learn one by one or in alternating pairs.

    Args:
        sample_shape, num_classes, epochs, steps: as for all networks here.
        variant: string, of `keras_ff.models.vgg`.
        width: float, by which all widths are multiplied.
        loss: `"symba"`, of alpha 4, or `"logistic"`, with a threshold of half a unit.
        normalization: string, between the layers.
        pairs: boolean. Whether overlapping pairs of layers learn in turn.
        proxies: boolean. Whether each layer learns by a linear classifier of its own instead, the
            source's baseline.
        falling_rates: boolean. Whether the rate has the three steps of its longest training.
    """
    del sample_shape
    filters = [
        [max(round(width * one), 1) for one in (block if isinstance(block, tuple) else (block,))]
        for block in VARIANTS[variant].filters
    ]
    settings = {"normalization": normalization, "use_bias": False}
    own = {"label_embedding": "label_map", "readout": readouts.Goodness([-1])}
    if proxies:
        settings |= {"goodness": "local_classifier"}
        own |= {"label_embedding": None, "negatives": None}
        loss = None
    else:
        loss = losses.SymBa(alpha=4.0) if loss == "symba" else losses.get(loss)
    model = keras_ff.FFModel(
        convolutions(filters, keras.layers.MaxPooling2D, **settings),
        num_classes,
        layer_schedule="alternating" if pairs else "simultaneous",
        **own,
    )
    rate = RATES[0]
    if falling_rates:
        boundaries = [round(share * epochs * steps) for share in CHANGES]
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, list(RATES))
    model.compile(keras.optimizers.Adam(rate), *([] if loss is None else [loss]), metrics=metrics())
    return model


def backpropagation_network(sample_shape, num_classes, epochs, steps, width=WIDTH):
    """The six convolutions by backpropagation, with a softmax on the last of them."""
    model = network(sample_shape, num_classes, epochs, steps, width=width, pairs=False)
    model.build((None, *sample_shape))
    plain = model.to_backprop(carry_weights=False)
    plain.compile(
        keras.optimizers.Adam(RATES[0]), "sparse_categorical_crossentropy", metrics=metrics()
    )
    return plain
