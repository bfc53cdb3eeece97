"""What stands between FF layers: ordinary Keras layers, applied as they are."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.layers import FFConv2D, FFDense, Opaque
from keras_ff.negatives import RandomLabels
from tests.helpers import activities_of, drawn
from tests.helpers.either_backend import gradient_table
from tests.helpers.functions import four_levels

CLASSES = 2

SHAPE = (8, 6)


def labels(number=8):
    return np.arange(number) % CLASSES


def dense(units=5, seed=0, **settings):
    initializer = keras.initializers.GlorotNormal(seed=seed)
    return FFDense(units, activation="tanh", kernel_initializer=initializer, **settings)


def model_of(layers, schedule="simultaneous", eager=True, **settings):
    compile_arguments = settings.pop("compile_arguments", {})
    model = keras_ff.FFModel(
        layers, CLASSES, layer_schedule=schedule, **{"negatives": RandomLabels(seed=1), **settings}
    )
    model.compile(
        keras.optimizers.SGD(0.1),
        keras_ff.losses.SymBa(4.0),
        run_eagerly=eager,
        **compile_arguments,
    )
    return model


def all_weights(layer):
    return [convert_to_numpy(weight) for weight in layer.weights]


def assert_equal(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("function", "received"),
    [
        (lambda array: array.sum(), r"shape \(\)"),
        (lambda array: array.sum(0), r"shape \(6,\)"),
        (lambda array: array[:1], r"shape \(1, 6\)"),
        (lambda array: array.reshape(-1), r"shape \(12,\)"),
    ],
    ids=["a number", "a sum over the batch", "one row", "flattened"],
)
def test_functions_that_do_not_give_a_row_a_sample_are_refused(function, received):
    with pytest.raises(ValueError, match=rf"one row per sample.*{received}.*\(2, 6\)"):
        Opaque(function)(drawn(SHAPE))
    with pytest.raises(ValueError, match="one row per sample"):
        model_of([dense(6), Opaque(function), dense(4)]).build((None, 6))


@pytest.mark.slow
def test_saved_and_loaded_with_its_function(tmp_path):
    model = model_of([dense(), Opaque(four_levels), dense(4, 1)])
    x, y = drawn(SHAPE), labels()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in loaded.all_layers] == [FFDense, Opaque, FFDense]
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    for each in (model, loaded):
        each.fit(x, y, verbose=0)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_function_that_has_no_name_to_save_says_how_to_give_it_one(tmp_path):
    model = model_of([dense(), Opaque(np.sign), dense(4, 1)])
    model.build((None, 6))
    with pytest.raises(ValueError, match="register_keras_serializable"):
        model.save(tmp_path / "model.keras")


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", ["auto", True])
@pytest.mark.filterwarnings("ignore:Model doesn't support `jit_compile")
def test_within_a_compiled_fit_of_batches_of_any_size(jit_compile):
    """A stream whose batch size the graph does not know, the last batch short."""
    sizes = set()

    def function(array):
        sizes.add(len(array))
        return four_levels(array)

    models = []
    for eager in (False, True):
        compile_arguments = {} if eager else {"compile_arguments": {"jit_compile": jit_compile}}
        model = model_of([dense(), Opaque(function), dense(4, 1)], eager=eager, **compile_arguments)
        data = tf.data.Dataset.from_tensor_slices((drawn((10, 6)), labels(10))).batch(4)
        model.fit(data, epochs=2, verbose=0)
        models.append(model)
    assert {8, 4} <= sizes  # positives and negatives of four samples and of two
    for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["greedy", "simultaneous", "pipelined", "windows"])
def test_layers_on_both_sides_learn(schedule):
    """Though nothing between them has a gradient: both losses fall."""
    x = np.concatenate([drawn((20, 6)) + 2, drawn((20, 6), seed=2) - 2])
    y = np.repeat([0, 1], 20)
    model = model_of([dense(16), Opaque(four_levels), dense(16, 1)], schedule)
    first = model.evaluate(x, y, batch_size=40, verbose=0, return_dict=True)
    model.fit(x, y, batch_size=10, epochs=8, verbose=0)
    last = model.evaluate(x, y, batch_size=40, verbose=0, return_dict=True)
    for number in (1, 2):
        assert last[f"layer_{number}/loss"] < 0.8 * first[f"layer_{number}/loss"]
        assert last[f"layer_{number}/pair_accuracy"] > 0.9


def test_the_layer_behind_sees_what_the_function_gives():
    model = model_of([dense(), Opaque(four_levels), dense(4, 1)])
    model.build((None, 6))
    inputs = model.streams.embed(drawn(SHAPE), labels())
    first = convert_to_numpy(model.ff_layers[0](inputs))
    expected = model.ff_layers[1](four_levels(first).astype("float32"))
    np.testing.assert_allclose(activities_of(model, inputs)[1], expected, rtol=1e-6)


@pytest.mark.slow
def test_a_pooling_layer():
    """Between convolutions: shapes, activities and goodness behind it."""
    layers = [FFConv2D(3), keras.layers.MaxPooling2D(2), FFConv2D(4), FFDense(5)]
    model = model_of(layers, label_embedding="overlay")
    x = drawn((8, 6, 6, 1))
    model.fit(x, labels(), verbose=0)
    assert model.all_layers == layers
    assert model.ff_layers == [layers[0], *layers[2:]]
    inputs = model.streams.embed(x, labels())
    hidden = convert_to_numpy(layers[0](inputs))
    pooled = hidden.reshape(8, 3, 2, 3, 2, 3).max((2, 4))
    activities = activities_of(model, inputs)
    assert activities[1].shape == (8, 3, 3, 4)
    np.testing.assert_allclose(activities[1], layers[2](pooled), rtol=1e-5, atol=1e-6)
    # Goodness of the first layer is that of what it answers itself.
    goodness = model.stack.goodness(activities)[0]
    np.testing.assert_allclose(goodness, np.mean(hidden**2, axis=(1, 2, 3)), rtol=1e-5)


@keras.saving.register_keras_serializable(package="test_between_layers")
class Watching(keras.layers.Layer):
    """Passes on what it gets, and remembers in which mode it was called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.modes = []
        self.built = True

    def call(self, inputs, training=None):
        self.modes.append(training)
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


@pytest.mark.slow
def test_a_layer_that_leaves_its_output_shape_to_keras():
    class Doubling(keras.layers.Layer):
        def call(self, inputs):
            return keras.ops.concatenate([inputs, inputs], axis=1)

    model = model_of([dense(), Doubling(), dense(4, 1)])
    model.fit(drawn(SHAPE), labels(), verbose=0)
    assert model.ff_layers[1].kernel.shape == (10, 4)


@pytest.mark.slow
def test_layers_between_train_with_the_layer_behind_them_alone():
    watching = [Watching() for _ in range(3)]
    layers = [watching[0], dense(), watching[1], dense(), watching[2], dense()]
    model = model_of(layers)
    x, y = drawn(SHAPE), labels()
    model.train_on_batch(x, y)
    for learning in ((0,), (1,), (0, 2)):
        model.learning_layers = learning
        for one in watching:
            one.modes.clear()
        model.train_on_batch(x, y)
        # Layers that wait are measured once, without learning.
        reached = [[index in learning] if index <= max(learning) else {False} for index in range(3)]
        modes = [
            one.modes if index <= max(learning) else {False, *one.modes}
            for index, one in enumerate(watching)
        ]
        assert modes == reached, learning
    for one in watching:
        one.modes.clear()
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    assert {mode for one in watching for mode in one.modes} == {False}


@pytest.mark.slow
def test_dropout_is_active_in_training_of_the_layer_behind_it_alone():
    """A frozen layer, and scoring, see all of the activities; its generator moves in training."""
    dropout = keras.layers.Dropout(0.5, seed=1)
    model = model_of([dense(20), dropout, dense(4, 1)])
    x, y = drawn(SHAPE), labels()
    model.train_on_batch(x, y)
    state = dropout.seed_generator.state

    def moves(action):
        before = convert_to_numpy(state)
        action()
        return bool(np.any(convert_to_numpy(state) != before))

    assert moves(lambda: model.train_on_batch(x, y))
    assert not moves(lambda: model.evaluate(x, y, verbose=0))
    assert not moves(lambda: model.predict(x, verbose=0))
    model.learning_layers = (0,)
    assert not moves(lambda: model.train_on_batch(x, y))
    inputs = model.streams.embed(x, y)
    activities = activities_of(model, inputs)
    np.testing.assert_array_equal(activities[1], model.ff_layers[1](activities[0]))
    model.learning_layers = (1,)
    model.reset_metrics()
    first = model.train_on_batch(x, y, return_dict=True)["layer_2/positive_goodness"]
    plain = np.mean(convert_to_numpy(model.stack.goodness(activities)[1]))
    assert abs(float(first) - plain) > 1e-4  # half of the inputs were missing


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.Dense(6, activation="relu"),
        lambda: keras.layers.PReLU(),
        lambda: keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(3)]),
    ],
    ids=["dense", "parametric", "sequential"],
)
@pytest.mark.parametrize("schedule", ["simultaneous", "alternating", "pipelined"])
def test_a_layer_between_learns_nothing(make, schedule):
    """Its weights are used as they are; those on both sides learn."""
    between = make()
    model = model_of([dense(), between, dense(4, 1)], schedule)
    x, y = drawn(SHAPE), labels()
    model.build((None, 6))
    before = [all_weights(layer) for layer in model.all_layers]
    assert before[1]
    for _ in range(2):
        model.train_on_batch(x, y)
    model.drain()
    assert_equal(before[1], all_weights(between))
    for index in (0, 2):
        for old, new in zip(before[index], all_weights(model.all_layers[index]), strict=True):
            assert np.abs(new - old).max() > 1e-6
    inputs = model.streams.embed(x, y)
    hidden = between(model.ff_layers[0](inputs))
    np.testing.assert_allclose(
        activities_of(model, inputs)[1], model.ff_layers[1](hidden), rtol=1e-5, atol=1e-6
    )


@pytest.mark.slow
def test_a_layer_between_is_saved_with_its_weights(tmp_path):
    model = model_of([dense(), keras.layers.Dense(6), dense(4, 1)])
    x, y = drawn(SHAPE), labels()
    model.build((None, 6))
    assert model.locality == 1
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
    assert_equal(all_weights(model.all_layers[1]), all_weights(loaded.all_layers[1]))
    for each in (model, loaded):
        each.fit(x, y, verbose=0)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.slow
def test_dropout_between_draws_on_after_loading(tmp_path):
    model = model_of([dense(20), keras.layers.Dropout(0.5), dense(4, 1)])
    x, y = drawn(SHAPE), labels()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for each in (model, loaded):
        each.fit(x, y, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "between",
    [
        lambda: [],
        lambda: [keras.layers.Dropout(0.2, seed=1)],
        lambda: [keras.layers.Rescaling(2.0)],
        lambda: [Opaque(four_levels)],
    ],
    ids=["nothing", "dropout", "rescaling", "opaque"],
)
def test_gradients_never_reach_the_layers_before(between, layer_losses):
    model = model_of([dense(), *between(), dense(4, 1), *between(), dense(3, 2)])
    x, y = drawn(SHAPE), labels()
    model.train_on_batch(x, y)
    weights = [layer.kernel for layer in model.ff_layers]
    for step in (model.train_on, model.test_on):
        gradients = gradient_table(functools.partial(layer_losses, model, step, x, y), weights)
        for k in range(3):
            for j in range(3):
                gradient = gradients[k][j]
                reached = gradient is not None and np.abs(gradient).max() > 0
                assert reached == (j == k), f"{step.__name__}: d loss_{k} / d w_{j}"


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [dense(), keras.layers.Dense(3, name="behind")],
        lambda: [dense(), keras.layers.Dropout(0.1), dense(), Opaque(np.sign, name="behind")],
    ],
)
def test_layers_behind_the_last_ff_layer_are_refused(layers):
    with pytest.raises(ValueError, match=r"behind the last FF layer.*Received: 'behind'"):
        model_of(layers())


def test_a_layer_that_stands_twice_is_refused():
    between = keras.layers.Dropout(0.1)
    with pytest.raises(ValueError, match=r"object of its own.*twice"):
        model_of([dense(), between, dense(), between, dense()])


@pytest.mark.parametrize("layers", [[keras.layers.Dense(3)], [Opaque(np.sign)]])
def test_layers_without_an_ff_layer_are_refused(layers):
    with pytest.raises(ValueError, match=r"at least one FF layer.*Received"):
        model_of(layers)


def test_what_is_no_layer_is_refused():
    with pytest.raises(ValueError, match=r"Keras layers among them.*Received: .* at position 1"):
        model_of([dense(), np.sign, dense()])


def test_shapes_that_do_not_fit_are_found_when_building():
    with pytest.raises(ValueError):
        model_of([dense(), keras.layers.MaxPooling2D(2), dense()]).build((None, 6))
