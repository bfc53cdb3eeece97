"""What cannot work in a model is refused with a ValueError that says what was received."""

import re

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import goodness, layer_schedules, losses, negatives, readouts
from keras_ff.layers import FFDense, FFLayer
from tests.helpers.refusals import refused


def model_of(layers=None, classes=3, **settings):
    return keras_ff.FFModel(layers or [FFDense(4), FFDense(4)], classes, **settings)


def test_no_layers():
    refused(lambda: keras_ff.FFModel([], 3), "at least one", "[]")


@pytest.mark.parametrize("bad", ["dense", 3, None, np.ones(2)], ids=str)
def test_something_that_is_no_layer(bad):
    refused(lambda: model_of([FFDense(4), bad]), "FFDense", "position 1")


def test_a_keras_layer_that_is_not_wrapped():
    refused(
        lambda: model_of([keras.layers.Dense(4)]), "FFLayer(Dense(...))", "<Dense", "position 0"
    )


def test_one_layer_twice():
    layer = FFDense(4, name="twin")
    refused(lambda: model_of([layer, FFDense(4), layer]), "of its own", "'twin' twice")


@pytest.mark.parametrize(
    ("part", "make"),
    [
        ("transform", lambda: keras.layers.Dense(4, name="shared")),
        ("normalization", lambda: keras.layers.BatchNormalization(name="shared")),
    ],
)
def test_one_inner_layer_in_two_ff_layers(part, make):
    """Its weights would belong to two layers, and a gradient of one would move the other."""
    shared = make()
    layers = [FFLayer(**{"transform": keras.layers.Dense(4), part: shared}) for _ in range(2)]
    refused(lambda: model_of(layers), "shared")


@pytest.mark.parametrize("classes", [1, 0, -3, 2.0, "ten", None, True])
def test_fewer_than_two_classes(classes):
    refused(lambda: model_of(classes=classes), f"num_classes={classes!r}")


def test_numpys_integers_are_classes():
    assert model_of(classes=np.int64(3)).num_classes == 3


@pytest.mark.parametrize("part", ["label_embedding", "negatives", "layer_schedule", "readout"])
def test_parts_that_a_model_needs(part):
    refused(lambda: model_of(**{part: None}), f"do without `{part}`", f"{part}=None")


@pytest.mark.parametrize(("classes", "count"), [(2, 2), (3, 3), (10, 11)])
def test_more_negatives_than_wrong_labels(classes, count):
    source = negatives.RandomLabels(count=count)
    refused(
        lambda: model_of(classes=classes, negatives=source),
        f"at most {classes - 1}",
        f"count={count}",
    )
    refused(lambda: source.labels(np.array([0, 1]), classes), f"count={count}")


def test_a_label_embedding_that_the_first_layer_cannot_take():
    """Append makes rows of the images, of which Conv2D can make nothing."""
    model = model_of([FFLayer(keras.layers.Conv2D(3, 3))], label_embedding="append")
    with pytest.raises(ValueError, match=r"(?i)append|label.embedding"):
        model.build((None, 8, 8, 1))


def test_samples_too_small_for_the_label():
    model = model_of(label_embedding="overlay", classes=10)
    refused(lambda: model.build((None, 3, 3, 1)), "Append", "9 pixels")


@pytest.mark.parametrize("shape", [(None,), (4, None), (None, 0), (None, 8, None, 1)], ids=str)
def test_samples_without_a_shape(shape):
    refused(lambda: model_of().build(shape), str(shape))


@pytest.mark.parametrize("indices", [(), (2,), (-1,), (0, 5)], ids=str)
def test_learning_layers_out_of_range(indices):
    model = model_of()
    refused(lambda: setattr(model, "learning_layers", indices), "0 to 1", str(indices))


@pytest.mark.parametrize("layers", [[2], [0, -3], [7, 0]], ids=str)
@pytest.mark.parametrize("kind", [readouts.Goodness, readouts.Softmax])
def test_readout_layers_out_of_range(kind, layers):
    model = model_of(readout=kind(layers=layers))
    refused(lambda: model.build((None, 6)), "2 FF layers", f"layers={layers}")


@pytest.mark.parametrize("layers", [[], [1.0], "al", 1, [True], ["all"]], ids=str)
@pytest.mark.parametrize("kind", [readouts.Goodness, readouts.Softmax])
def test_readout_layers_of_the_wrong_kind(kind, layers):
    refused(lambda: kind(layers=layers), "'all'", f"layers={layers!r}")


def test_a_softmax_head_of_another_model():
    """Its head has the number of classes of the model that it was built for."""
    readout = readouts.Softmax()
    model_of([FFDense(4)], classes=2, readout=readout).build((None, 6))
    other = model_of([FFDense(4)], classes=3, readout=readout)
    refused(lambda: other.build((None, 6)))


@pytest.mark.parametrize(
    ("loss", "received"),
    [
        ("mse", "'mse'"),
        ("sparse_categorical_crossentropy", "'sparse_categorical_crossentropy'"),
        (keras.losses.MeanSquaredError(), "mean_squared_error"),
        (keras.losses.mean_squared_error, "mean_squared_error"),
        (["symba", "symba"], "['symba', 'symba']"),
    ],
    ids=["mse", "sparse_categorical_crossentropy", "object", "function", "list"],
)
def test_a_loss_that_does_not_fit(loss, received):
    refused(lambda: model_of().compile(loss=loss), received)


@pytest.mark.parametrize("loss", [keras.losses.MeanSquaredError(), "mse"], ids=["object", "mse"])
def test_a_layers_own_loss_that_does_not_fit(loss):
    refused(lambda: FFDense(4, loss=loss), "'symba'", "mse" if loss == "mse" else "squared_error")


def test_a_class_in_place_of_an_object():
    refused(lambda: model_of().compile(loss=losses.SymBa), "SymBa()", "SymBa")
    refused(lambda: FFDense(3, goodness=goodness.SumOfSquares), "SumOfSquares()", "SumOfSquares")


@pytest.mark.parametrize("length", [0, 1, 3])
@pytest.mark.parametrize("name", ["threshold", "margin"])
def test_a_list_that_has_not_one_number_a_layer(name, length):
    loss = losses.Logistic(**{name: [1.0] * length})
    refused(lambda: model_of().compile(loss=loss), f"`{name}`", "2 here", f"{length} numbers")
    refused(lambda: model_of([FFDense(4, loss=loss), FFDense(4)]).compile(), f"{length} numbers")


@pytest.mark.parametrize("weights", [[1.0], {"layer_1": 2.0}, 1.0], ids=str)
def test_loss_weights(weights):
    refused(lambda: model_of().compile(loss_weights=weights), f"loss_weights={weights!r}")


def wrapped_optimizers():
    multi = keras.optimizers.MultiOptimizer(lambda variable: keras.optimizers.SGD())
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    return {"MultiOptimizer": multi, "LossScaleOptimizer": scaled}


@pytest.mark.parametrize("kind", ["MultiOptimizer", "LossScaleOptimizer"])
def test_optimizers_of_which_there_can_be_no_copies(kind):
    optimizer = wrapped_optimizers()[kind]
    refused(lambda: model_of().compile(optimizer=optimizer), "a plain one", kind)
    refused(lambda: FFDense(4, optimizer=optimizer), "a plain one", kind)
    refused(lambda: readouts.Softmax(optimizer=optimizer), "a plain one", kind)


@pytest.mark.parametrize("optimizer", ["adamm", 3], ids=str)
def test_an_unknown_optimizer(optimizer):
    with pytest.raises(ValueError, match=rf"optimizer.*{optimizer}"):
        model_of().compile(optimizer=optimizer)
    with pytest.raises(ValueError, match=rf"optimizer.*{optimizer}"):
        FFDense(4, optimizer=optimizer)


def test_no_optimizer():
    refused(lambda: model_of().compile(optimizer=None), "optimizer=None")


@pytest.mark.parametrize("entries", [[1], [1, 1, 1]], ids=str)
def test_epochs_per_layer_of_the_wrong_length(entries):
    schedule = layer_schedules.Greedy(entries)
    refused(lambda: model_of(layer_schedule=schedule), "2 here", f"{len(entries)} numbers")


@pytest.mark.parametrize(
    ("argument", "wrong", "name"),
    [
        ("label_embedding", "apend", "append"),
        ("negatives", "random_label", "random_labels"),
        ("layer_schedule", "gready", "greedy"),
        ("readout", "goodnes", "goodness"),
    ],
)
def test_a_misspelt_name_in_a_model(argument, wrong, name):
    refused(lambda: model_of(**{argument: wrong}), "Did you mean", repr(name), repr(wrong))


@pytest.mark.parametrize("make", [FFDense, lambda width, **more: model_of(**more)])
def test_an_argument_that_does_not_exist(make):
    with pytest.raises(ValueError, match=re.escape("'labeling': 'append'")):
        make(4, labeling="append")


# --- layers of another model --------------------------------------------------------------------


def test_a_layer_that_was_built_for_other_classes():
    layer = FFDense(6)
    model_of([layer]).build((None, 6))
    refused(lambda: model_of([layer], classes=2), "rebuild(num_classes=…)", "for 3 classes")


@pytest.mark.parametrize("name", ["ClassGroups", "LocalClassifier"])
def test_a_goodness_that_was_made_for_other_classes(name):
    layer = FFDense(10, goodness=getattr(goodness, name)(num_classes=5))
    settings = {"label_embedding": None, "negatives": None}
    refused(lambda: model_of([layer], classes=2, **settings), "for 5 classes", "num_classes=2")


@pytest.mark.parametrize("make", [FFDense, keras_ff.layers.FFConv2D])
def test_a_layer_that_was_built_for_other_samples(make):
    layer = make(6)
    settings = {"label_embedding": "spatial_pattern"}
    model_of([layer], **settings).build((None, 6, 6, 1))
    again = model_of([layer], **settings)
    refused(lambda: again.build((None, 6, 5, 1)), "(6, 6, 1)", "(6, 5, 1)")
    model_of([layer], **settings).build((None, 6, 6, 1))


# --- channels first -----------------------------------------------------------------------------


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras_ff.layers.FFConv2D(6),
        lambda: FFLayer(keras.layers.Conv2D(6, 3)),
        lambda: FFLayer(keras.Sequential([keras.layers.Conv2D(6, 3), keras.layers.Flatten()])),
        lambda: FFLayer(keras.layers.Dense(6), pooling=keras.layers.MaxPooling2D()),
        lambda: FFLayer(keras.layers.DepthwiseConv2D(3), goodness="class_groups"),
    ],
    ids=["FFConv2D", "FFLayer", "sequential", "pooling", "class groups"],
)
def test_channels_first_in_a_layer(make, channels_first):
    refused(make, "(height, width, channels)", "np.moveaxis(x, 1, -1)", "channels_first")


def test_channels_first_in_one_layer_alone():
    transform = keras.layers.Conv2D(6, 3, data_format="channels_first", name="conv")
    refused(lambda: FFLayer(transform), "'conv' with data_format='channels_first'")


CHANNELS_FIRST = [
    {"label_embedding": "overlay"},
    {"label_embedding": "label_map"},
    {"label_embedding": "spatial_pattern"},
    {"label_embedding": "token_labels"},
    {"label_embedding": None, "negatives": "hybrid_images", "readout": "softmax"},
    {"readout": readouts.Goodness(mirrored=True)},
    {"layers": [keras_ff.layers.FFLocallyConnected2D(3)], "label_embedding": "overlay"},
]


@pytest.mark.parametrize("settings", CHANNELS_FIRST, ids=str)
def test_channels_first_in_samples(settings, channels_first):
    refused(lambda: model_of(**settings).build((None, 3, 8, 8)), "channels_first", "(3, 8, 8)")


def test_channels_first_where_no_axis_is_meant(channels_first):
    """Rows of all pixels are the same in any order."""
    model_of().build((None, 3, 8, 8))
    model_of(label_embedding="overlay").build((None, 20))
    model_of(label_embedding="spatial_pattern").build((None, 8, 8))


def test_samples_that_a_leading_layer_gives_channels_first():
    leading = keras.layers.MaxPooling2D(2, data_format="channels_first")
    model = model_of([leading, FFDense(4)], label_embedding="overlay")
    refused(lambda: model.build((None, 3, 8, 8)), "Overlay takes images", "(3, 4, 4)")
