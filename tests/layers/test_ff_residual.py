"""FFResidual: shortcuts that are joined, never taught, and alike in training and scoring."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import backends
from keras_ff.layers import Batch, FFConv2D, FFDense, FFLayer, FFResidual
from keras_ff.models.stack import Stack
from keras_ff.negatives import RandomLabels
from tests.helpers import activities_of, drawn, mostly_slow
from tests.helpers.either_backend import gradient_table

CLASSES = 2
SHAPE = (8, 6)


def labels(number=8):
    return np.arange(number) % CLASSES


def transform(units=5, seed=0):
    return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotNormal(seed=seed))


def residual(units=5, seed=0, **settings):
    return FFResidual(transform(units, seed), **{"activation": "tanh", **settings})


def layer(units=5, seed=0, **settings):
    return FFLayer(transform(units, seed), **{"activation": "tanh", **settings})


GROUPED = {"goodness": "class_groups", "normalization": "class_groups"}


def model_of(layers, schedule="simultaneous", eager=True, groups=False, **settings):
    parts = {"label_embedding": None, "negatives": None} if groups else {}
    model = keras_ff.FFModel(
        layers,
        CLASSES,
        layer_schedule=schedule,
        **{"negatives": RandomLabels(seed=1), **parts, **settings},
    )
    loss = None if groups else keras_ff.losses.SymBa(4.0)
    model.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=eager)
    return model


# --- what is handed on, in numpy -----------------------------------------------------------------


def length_normalized(x):
    x = x.astype("float64")
    return x / np.sqrt(np.mean(x**2, axis=tuple(range(1, x.ndim)), keepdims=True) + 1e-8)


def group_normalized(x, classes):
    """Every class's channels, at all positions, to mean 0 and variance 1."""
    split = x.astype("float64").reshape(*x.shape[:-1], classes, -1)
    axes = (*range(1, split.ndim - 2), split.ndim - 1)
    mean = split.mean(axes, keepdims=True)
    variance = split.var(axes, keepdims=True)
    return ((split - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)


SHAPES = [
    ((8, 6), (8, 6)),
    ((8, 3, 3, 4), (8, 3, 3, 4)),
    ((8, 6), (8, 4)),
    ((8, 2, 3, 4), (8, 2, 3, 2)),
]


@pytest.mark.parametrize(("own", "shortcut"), SHAPES, ids=str)
def test_add_and_concatenate(own, shortcut):
    activities, before = drawn(own), 7 * drawn(shortcut, seed=2)
    for merge in ("add", "concatenate"):
        made = FFResidual(keras.layers.Dense(own[-1]), merge=merge)
        made.build((None, *own[1:-1], 9))
        if merge == "add" and own != shortcut:
            continue
        found = made.outputs(activities, before)
        parts = length_normalized(activities), length_normalized(before)
        expected = parts[0] + parts[1] if merge == "add" else np.concatenate(parts, axis=-1)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        assert made.outputs_shape((None, *own[1:]), (None, *shortcut[1:])) == (
            None,
            *expected.shape[1:],
        )


@pytest.mark.parametrize(("own", "shortcut"), [((8, 6), (8, 12)), ((8, 2, 2, 9), (8, 2, 2, 6))])
def test_class_groups_side_by_side(own, shortcut):
    """Group k of what is handed on is group k of both; its goodness is of class k alone."""
    goodness = keras_ff.goodness.ClassGroups(num_classes=3)
    made = FFResidual(keras.layers.Dense(own[-1]), merge="class_groups", goodness=goodness)
    made.build((None, *own[1:-1], 5))
    activities, before = drawn(own), 5 * drawn(shortcut, seed=2)
    found = convert_to_numpy(made.outputs(activities, before))
    one, other = group_normalized(activities, 3), group_normalized(before, 3)
    expected = []
    for group in range(3):
        for part in (one, other):
            width = part.shape[-1] // 3
            expected.append(part[..., group * width : (group + 1) * width])
    np.testing.assert_allclose(found, np.concatenate(expected, axis=-1), rtol=1e-4, atol=1e-4)
    assert made.outputs_shape(own, shortcut) == found.shape


@pytest.mark.parametrize("merge", ["add", "concatenate"])
def test_class_groups_are_leveled_group_by_group_in_every_merge(merge):
    goodness = keras_ff.goodness.ClassGroups(num_classes=2)
    made = FFResidual(keras.layers.Dense(6), merge=merge, goodness=goodness)
    made.build((None, 5))
    activities, before = drawn((8, 6)), drawn((8, 6), seed=2)
    activities[:, :3] *= 9  # class 0 wins, and the next layer is not to know it
    found = made.outputs(activities, before)
    parts = group_normalized(activities, 2), group_normalized(before, 2)
    expected = parts[0] + parts[1] if merge == "add" else np.concatenate(parts, axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_images_of_another_size_than_the_first_were():
    made = FFResidual(keras.layers.Conv2D(4, 1), merge="concatenate")
    made.build((None, 2, 3, 5))
    assert tuple(made.outputs(drawn((8, 4, 5, 4)), drawn((8, 4, 5, 2))).shape) == (8, 4, 5, 6)


@pytest.mark.parametrize("merge", ["add", "concatenate"])
def test_neither_length_reaches_the_next_layer(merge):
    """Of what is handed on the next layer cannot tell how strongly this one answered."""
    made = FFResidual(keras.layers.Dense(6), merge=merge)
    made.build((None, 5))
    activities, before = drawn((8, 6)), drawn((8, 6), seed=2)
    strength = np.logspace(-1, 3, 8)[:, None].astype("float32")
    expected = made.outputs(activities, before)
    for one, other in ((strength * activities, before), (activities, strength * before)):
        np.testing.assert_allclose(made.outputs(one, other), expected, rtol=1e-4, atol=1e-4)


def test_under_mixed_bfloat16():
    activities, before = drawn((8, 6)), drawn((8, 6), seed=2)
    keras.config.set_dtype_policy("mixed_bfloat16")
    made = FFResidual(keras.layers.Dense(6))
    made.build((None, 5))
    found = made.outputs(keras.ops.cast(activities, "bfloat16"), before)
    assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
    expected = length_normalized(activities) + length_normalized(before)
    np.testing.assert_allclose(keras.ops.cast(found, "float32"), expected, atol=0.05)


# --- which tensor is the shortcut ----------------------------------------------------------------


def passed(model, inputs):
    """Activities of a stack of dense layers by hand, in float64: the way of the data."""
    handed, taken, answers = inputs, [], []
    for one in model.ff_layers:
        taken.append(handed)
        kernel, bias = (weight.astype("float64") for weight in one.transform.get_weights())
        answers.append(np.tanh(length_normalized(handed) @ kernel + bias))
        handed = answers[-1]
        if one.span:
            parts = length_normalized(answers[-1]), length_normalized(taken[-one.span])
            handed = parts[0] + parts[1] if one.merge == "add" else np.concatenate(parts, axis=1)
    return answers


STACKS = {
    "span 1": lambda: [layer(), residual(seed=1), layer(seed=2)],
    "span 2": lambda: [layer(), layer(seed=1), residual(seed=2, span=2), layer(seed=3)],
    "span 3": lambda: [
        layer(8),
        residual(8, 1, merge="concatenate"),
        residual(8, 2, span=3, merge="concatenate"),
        layer(seed=3),
    ],
    "several": lambda: [
        layer(5),
        residual(5, 1),
        residual(5, 2, span=2),
        residual(5, 3, span=2),
        residual(5, 4),
        layer(seed=5),
    ],
    "around the first": lambda: [residual(8), residual(8, 1, span=2), layer(seed=2)],
}


@pytest.mark.parametrize("name", STACKS)
def test_the_way_of_the_data_by_hand(name):
    """A shortcut of span s begins at what the layer s − 1 before this one was given."""
    model = model_of(STACKS[name]())
    x, y = drawn(SHAPE), labels()
    model.build(x.shape)
    inputs = convert_to_numpy(model.streams.embed(x, y))
    expected = passed(model, inputs)
    found = activities_of(model, inputs)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    # Goodness is that of the layer's own activities, without the shortcut.
    for one, other in zip(model.stack.goodness(found), expected, strict=True):
        np.testing.assert_allclose(one, np.mean(other**2, axis=1), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", STACKS)
def test_training_and_scoring_see_the_same(name, monkeypatch):
    """What every layer is given in a training step, in evaluation and in scoring."""
    model = model_of(STACKS[name](), negatives=keras_ff.negatives.AllLabels())
    x, y = drawn(SHAPE), labels()
    model.build(x.shape)
    inputs = model.streams(x, keras.ops.cast(y, "int32")).embedded(model.label_embedding, CLASSES)
    expected = passed(model, convert_to_numpy(inputs))
    kernels = [weight.copy() for weight in model.get_weights()]
    seen = []
    activate = FFLayer.activate

    def note(array):
        seen.append(np.array(array))
        return array

    def recorded(self, *args, **kwargs):
        answer = activate(self, *args, **kwargs)
        backends.numpy_function(note, answer, tuple(answer.shape))
        return answer

    monkeypatch.setattr(FFLayer, "activate", recorded)
    for act in (model.test_on_batch, model.train_on_batch):
        seen.clear()
        model.set_weights(kernels)
        act(x, y)
        count = len(model.ff_layers)
        for found, by_hand in zip(seen[:count], expected, strict=True):
            np.testing.assert_allclose(found, by_hand, rtol=1e-4, atol=1e-5)
    logs = model.test_on_batch(x, y, return_dict=True)
    goodness = np.mean(
        convert_to_numpy(activities_of(model, model.streams.embed(x, y))[-1]) ** 2, axis=1
    )
    name = f"layer_{len(model.ff_layers)}/positive_goodness"
    assert float(logs[name]) == pytest.approx(goodness.mean(), rel=1e-4)


@pytest.mark.slow
def test_goodness_is_of_the_layers_own_activities_in_training_too():
    """Whatever the shortcut holds."""
    inputs = drawn((16, 5))
    made = residual(loss="symba", optimizer="sgd")
    skip = 100 * drawn((16, 5), seed=2)
    metrics, batch = made.test_step(Batch(inputs, skips=(skip,)))
    own = convert_to_numpy(made(inputs))
    expected = np.mean(own**2, axis=1)
    np.testing.assert_allclose(metrics["positive_goodness"], expected[:8], rtol=1e-5)
    np.testing.assert_allclose(metrics["negative_goodness"], expected[8:], rtol=1e-5)
    assert np.abs(batch.inputs - own).max() > 0.1


def test_alone_its_shortcut_is_its_own_inputs():
    inputs = drawn((16, 5))
    made = residual(loss="symba", optimizer="sgd")
    _, batch = made.train_step(inputs)
    before = residual(loss="symba", optimizer="sgd")
    before.build(inputs.shape)
    expected = length_normalized(convert_to_numpy(before(inputs))) + length_normalized(inputs)
    np.testing.assert_allclose(batch.inputs, expected, rtol=1e-4, atol=1e-5)


def test_its_metrics_and_its_step_are_those_of_a_layer_without_a_skip():
    """Weights after a step, too: the shortcut concerns the next layer alone."""
    inputs = drawn((16, 5))
    settings = {"loss": "symba", "optimizer": keras.optimizers.SGD(0.1)}
    plain, made = layer(**settings), residual(**settings)
    expected, _ = plain.train_step(inputs)
    metrics, _ = made.train_step(inputs)
    for name, value in expected.items():
        np.testing.assert_array_equal(metrics[name], value)
    for one, other in zip(made.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.slow
@mostly_slow("name", STACKS, quick=(1, 3))
def test_no_gradient_passes_through_a_shortcut(name, layer_losses, monkeypatch):
    """d loss_k / d w_j within the model's own step: nothing where j is not k."""
    model = model_of(STACKS[name]())
    x, y = drawn(SHAPE), labels()
    model.train_on_batch(x, y)
    handed = []
    measure = FFLayer.train_step

    def stepped(self, *args, **kwargs):
        metrics, batch = measure(self, *args, **kwargs)
        handed.append(batch.inputs)
        return metrics, batch

    monkeypatch.setattr(FFLayer, "train_step", stepped)
    weights = [one.transform.kernel for one in model.ff_layers]
    of_losses_and_handed = gradient_table(
        lambda: [*layer_losses(model, model.train_on, x, y), *handed], weights
    )
    of_losses = of_losses_and_handed[: len(weights)]
    of_handed = of_losses_and_handed[len(weights) :]
    assert len(of_handed) == len(weights)
    for k in range(len(weights)):
        for j in range(len(weights)):
            reached = of_losses[k][j] is not None and np.abs(of_losses[k][j]).max() > 0
            assert reached == (j == k), f"d loss_{k} / d w_{j}"
            assert of_handed[k][j] is None


# --- fit -----------------------------------------------------------------------------------------


def grouped_convolutions():
    def convolution(filters, seed):
        initializer = keras.initializers.GlorotNormal(seed=seed)
        return keras.layers.Conv2D(filters, 3, padding="same", kernel_initializer=initializer)

    settings = {"activation": "relu", **GROUPED}
    return [
        FFLayer(convolution(4, 0), activation="relu", goodness="class_groups"),
        FFResidual(convolution(4, 1), **settings),
        keras.layers.MaxPooling2D(2),
        FFResidual(convolution(4, 2), merge="class_groups", **settings),
        FFResidual(convolution(8, 3), span=1, merge="add", **settings),
        FFDense(4, goodness="class_groups"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["greedy", "simultaneous", "pipelined", "alternating"])
@pytest.mark.parametrize("groups", [False, True], ids=["contrastive", "class groups"])
def test_every_layer_learns_in_fit(schedule, groups):
    layers = grouped_convolutions() if groups else STACKS["several"]()
    x = drawn((10, 6, 6, 1) if groups else (10, 6))
    model = model_of(layers, schedule, groups=groups)
    model.build(x.shape)
    before = [one.transform.get_weights()[0] for one in model.ff_layers]
    epochs = len(model.ff_layers) if schedule == "greedy" else 2
    history = model.fit(x, labels(10), batch_size=5, epochs=epochs, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for old, one in zip(before, model.ff_layers, strict=True):
        assert np.abs(one.transform.get_weights()[0] - old).max() > 1e-6
    assert model.predict(x, verbose=0).shape == (10, CLASSES)


@pytest.mark.slow
def test_compiled_steps_are_the_eager_ones():
    weights = []
    x, y = drawn((10, 6)), labels(10)
    for eager in (True, False):
        model = model_of(STACKS["span 2"](), eager=eager)
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_greedy_layers_learn_as_under_simultaneous_beneath_frozen_ones():
    """The last layer's step is the same whether those before it learn or not: one batch."""
    x, y = drawn(SHAPE), labels()
    weights = []
    for learning in ((0, 1, 2, 3), (3,)):
        model = model_of(STACKS["span 2"]())
        model.build(x.shape)
        model.learning_layers = learning
        model.train_on_batch(x, y)
        weights.append(model.ff_layers[3].get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)


def test_a_shortcut_around_a_layer_between():
    """It begins behind what stands before the layer, and spans what stands within."""
    between = keras.layers.Rescaling(2.0, offset=0.5)
    layers = [layer(), between, layer(seed=1), residual(seed=2, span=2), layer(seed=3)]
    model = model_of(layers)
    x, y = drawn(SHAPE), labels()
    model.build(x.shape)
    inputs = model.streams.embed(x, y)
    first = convert_to_numpy(layers[0](inputs))
    entered = 2 * first + 0.5
    second = convert_to_numpy(layers[2](entered))
    third = convert_to_numpy(layers[3](second))
    handed = length_normalized(third) + length_normalized(entered)
    expected = layers[4](handed.astype("float32"))
    np.testing.assert_allclose(activities_of(model, inputs)[3], expected, rtol=1e-4, atol=1e-5)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "shape", "received"),
    [
        (lambda: [layer(5), residual(4)], SHAPE, r"\(4,\).*\(5,\).*merge='add'"),
        (
            lambda: [FFConv2D(4), FFResidual(keras.layers.Conv2D(4, 3, strides=2))],
            (8, 6, 6, 1),
            r"\(2, 2, 4\).*\(6, 6, 4\).*merge='add'",
        ),
        (
            lambda: [
                FFConv2D(4),
                FFResidual(keras.layers.Conv2D(3, 3, padding="valid"), merge="concatenate"),
            ],
            (8, 6, 6, 1),
            r"\(4, 4, 3\).*\(6, 6, 4\).*merge='concatenate'",
        ),
    ],
    ids=["widths", "strides", "positions"],
)
def test_shapes_that_do_not_fit_are_refused(layers, shape, received):
    settings = {"label_embedding": "overlay"} if len(shape) == 4 else {}
    with pytest.raises(ValueError, match=rf"does not fit its activities.*{received}"):
        model_of(layers(), **settings).build((None, *shape[1:]))


def test_class_groups_that_classes_do_not_divide_are_refused():
    made = [
        FFResidual(keras.layers.Dense(4), merge="class_groups", goodness="class_groups"),
        FFDense(4, goodness="class_groups"),
    ]
    with pytest.raises(ValueError, match=r"does not fit.*\(5,\).*merge='class_groups'"):
        model_of(made, groups=True).build((None, 5))
    model_of([type(one).from_config(one.get_config()) for one in made], groups=True).build(
        (None, 6)
    )


@pytest.mark.parametrize("position", [0, 1, 2])
def test_spans_that_begin_before_the_first_layer_are_refused(position):
    layers = [layer(8), layer(8), layer(8)]
    layers[position] = residual(8, span=position + 2, name="too_far")
    received = f"span={position + 2} at FF layer {position + 1}"
    with pytest.raises(ValueError, match=rf"'too_far' begins before .*Received: {received}"):
        model_of(layers).build((None, 6))
    layers = [layer(8), layer(8), layer(8)]
    layers[position] = residual(8, span=position + 1)
    model_of(layers).build((None, 6))  # from the sample itself


@pytest.mark.parametrize("merge", ["added", "concat", None, 3])
def test_unknown_merges_are_refused(merge):
    with pytest.raises(ValueError, match=r"'add', 'concatenate', 'class_groups'.*Received: merge="):
        residual(merge=merge)


@pytest.mark.parametrize("span", [0, -1, 1.5, True, "2"])
def test_spans_that_are_no_number_of_layers_are_refused(span):
    with pytest.raises(ValueError, match=r"`span`.*Received: span="):
        residual(span=span)


def test_class_groups_are_needed_to_merge_by_them():
    with pytest.raises(ValueError, match=r"without class groups.*Received: merge='class_groups'"):
        residual(merge="class_groups")


# --- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"merge": "concatenate", "span": 3},
        {"merge": "class_groups", "goodness": "class_groups"},
        {"dropout": 0.2, "loss": "symba", "optimizer": "sgd"},
    ],
    ids=str,
)
def test_round_trip(settings):
    made = FFResidual(keras.layers.Dense(4), activation="relu", **settings)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert type(again) is FFResidual
    assert (again.merge, again.span) == (made.merge, made.span)
    assert again.get_config() == made.get_config()


@pytest.mark.slow
@pytest.mark.parametrize("groups", [False, True], ids=["contrastive", "class groups"])
def test_saved_and_loaded_it_goes_on_as_before(groups, tmp_path):
    layers = grouped_convolutions() if groups else STACKS["several"]()
    x = drawn((8, 6, 6, 1) if groups else SHAPE)
    y = labels()
    model = model_of(layers, groups=groups)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    for each in (model, loaded):
        each.train_on_batch(x, y)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_it_has_no_weights_of_its_own_but_the_transforms():
    """Leveling is without parameters, and locality counts the transform alone."""
    model = model_of(STACKS["several"]())
    model.build((None, 6))
    for one in model.ff_layers:
        assert len(one.weights) == 2
        assert one.locality == 1
    assert model.locality == 1


def test_nothing_is_remembered_without_shortcuts():
    """How far back the longest shortcut of a model begins."""
    for layers, reach in (([layer()], 0), ([residual()], 1), ([layer(), residual(span=2)], 2)):
        assert Stack(layers).reach == reach
