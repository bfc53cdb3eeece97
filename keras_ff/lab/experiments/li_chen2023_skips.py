"""Li and Chen 2023, section 5.2.3: skip connections, which sometimes failed."""

import keras

import keras_ff
from keras_ff.lab.experiments import mlp_recipes
from keras_ff.lab.experiments.networks import li_chen2023, metrics
from keras_ff.lab.experiments.table import Cell, Table
from keras_ff.layers import FFDense, FFResidual
from keras_ff.losses import LabelSoftmax
from keras_ff.optimizers.learning_rates import ConstantThenLinear

PUBLISHED, TEXT = 97.2, "97.2, sometimes below 10"


def network(sample_shape, num_classes, epochs, steps):
    """Our network for MNIST, with skip connections around all layers but the first."""
    del sample_shape
    recipe = mlp_recipes.mnist("elu")
    settings = {"activation": recipe.activation, "normalization": recipe.normalization}
    layers = [FFDense(500, **settings)]
    layers += [FFResidual(keras.layers.Dense(500), **settings) for _ in range(3)]
    model = keras_ff.FFModel(
        layers,
        num_classes,
        label_embedding=keras_ff.labels.Append(recipe.label_strength),
        negatives="all_labels",
        layer_schedule="simultaneous",
    )
    rate = ConstantThenLinear(recipe.learning_rate, epochs * steps)
    model.compile(keras.optimizers.Adam(rate), LabelSoftmax(recipe.alpha), metrics=metrics())
    return model


def table():
    """The table, a `keras_ff.lab.experiments.table.Table`."""
    ours = mlp_recipes.mnist("elu")
    return Table(
        name="li_chen2023_skips",
        title="Skip connections on MNIST",
        source="Li and Chen 2023, section 5.2.3",
        rows="network",
        cells=(
            li_chen2023.cell("skip connections", PUBLISHED, {"skips": True}, 100, TEXT),
            Cell(
                "skip connections",
                ours,
                PUBLISHED,
                published_text=TEXT,
                network=network,
                source_epochs=li_chen2023.EPOCHS,
            ),
        ),
        remarks=f"{li_chen2023.REMARKS} {li_chen2023.OURS} Five seeds.",
    )
