"""Two layer schedules of one step: pairs of layers in turn, and layers one batch behind another."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from either_backend import gradient_table

import keras_ff
from keras_ff.layer_schedules import Alternating, Pipelined
from keras_ff.layers import FFAttention, FFConv2D, FFDense, FFLayer, FFResidual
from keras_ff.losses import Logistic, SupCon
from keras_ff.models.passage import Passage
from keras_ff.negatives import RandomLabels

RATE = 0.1
STRENGTH = 0.1
ALPHA = 4.0


def drawn(shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def batch(shape=(8, 6), classes=2, seed=1):
    return drawn(shape, seed), np.arange(shape[0]) % classes


def dense_layers(number, **settings):
    return [
        FFDense(
            5 + k,
            activation="tanh",
            kernel_initializer=keras.initializers.GlorotNormal(seed=k),
            **settings,
        )
        for k in range(number)
    ]


def model_of(layers, schedule, classes=2, eager=True, steps=1, metrics=None, loss=None, **settings):
    model = keras_ff.FFModel(layers, classes, layer_schedule=schedule, **settings)
    model.compile(
        keras.optimizers.SGD(RATE),
        loss,
        metrics=metrics,
        run_eagerly=eager,
        steps_per_execution=steps,
    )
    return model


def weights_of(model):
    return [layer.get_weights() for layer in model.ff_layers]


def moved(model, before):
    """Which layers have other weights than before."""
    return tuple(
        index
        for index, (layer, old) in enumerate(zip(model.ff_layers, before, strict=True))
        if any(np.any(new != one) for new, one in zip(layer.get_weights(), old, strict=True))
    )


def assert_same_weights(model, other, atol=1e-6):
    for one, two in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=0, atol=atol)


# --- alternating, against a tape by hand ---------------------------------------------------------


def labelled(x, labels, classes=2):
    """The label behind the sample, at its share of the sample's energy."""
    length = np.sqrt(STRENGTH * np.sum(np.square(x), axis=1, keepdims=True))
    return np.concatenate([x, length * np.eye(classes)[labels]], axis=1)


def through(weights, inputs):
    """Activities of one layer: mean square 1, dense, tanh."""
    mean_square = tf.reduce_mean(tf.square(inputs), axis=1, keepdims=True)
    kernel, bias = weights
    return tf.tanh(inputs * tf.math.rsqrt(mean_square + 1e-8) @ kernel + bias)


def step_by_hand(weights, inputs, chains):
    """SGD on the last layer's loss of every chain, in float64; the weights after it."""
    after = []
    for chain in chains:
        variables = [tf.constant(array, tf.float64) for index in chain for array in weights[index]]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            activities = inputs
            for place in range(len(chain)):
                activities = through(variables[2 * place : 2 * place + 2], activities)
            goodness = tf.reshape(tf.reduce_mean(tf.square(activities), axis=1), (2, -1))
            loss = tf.reduce_mean(tf.nn.softplus(-ALPHA * (goodness[0] - goodness[1])))
        gradients = tape.gradient(loss, variables)
        inputs = tf.constant(activities.numpy())
        new = [(v - RATE * g).numpy() for v, g in zip(variables, gradients, strict=True)]
        after.extend(new[start : start + 2] for start in range(0, len(new), 2))
    return after


@pytest.mark.parametrize(
    ("number", "even", "odd"),
    [
        (1, [(0,)], [(0,)]),
        (2, [(0, 1)], [(0,), (1,)]),
        (4, [(0, 1), (2, 3)], [(0,), (1, 2), (3,)]),
        (5, [(0, 1), (2, 3), (4,)], [(0,), (1, 2), (3, 4)]),
    ],
)
def test_pairs_learn_from_their_second_layers_loss_in_turn(number, even, odd):
    """Four steps, all weights, with the wrong one of two labels as the negative."""
    loss = keras_ff.losses.SymBa(ALPHA)
    model = model_of(dense_layers(number), "alternating", loss=loss, negatives="all_labels")
    x, y = batch()
    model.build(x.shape)
    x64 = x.astype("float64")
    inputs = np.concatenate([labelled(x64, y), labelled(x64, 1 - y)])
    expected = [[array.astype("float64") for array in of_layer] for of_layer in weights_of(model)]
    for step in range(4):
        model.train_on_batch(x, y)
        expected = step_by_hand(expected, inputs, (even, odd)[step % 2])
        for of_layer, by_hand in zip(weights_of(model), expected, strict=True):
            for one, other in zip(of_layer, by_hand, strict=True):
                np.testing.assert_allclose(one, other, rtol=0, atol=2e-6)
    assert [int(layer.optimizer.iterations) for layer in model.ff_layers] == [4] * number


@pytest.mark.parametrize(
    ("step", "crossing"), [(0, {(0, 1), (2, 3)}), (1, {(1, 2), (3, 4)})], ids=["even", "odd"]
)
def test_a_gradient_crosses_exactly_one_boundary(step, crossing, layer_losses):
    """d loss_k / d w_j within the model's own step, for every pair of layers."""
    model = model_of(dense_layers(5), "alternating")
    x, y = batch()
    for _ in range(step + 2):  # as many, and the parity stays
        model.train_on_batch(x, y)
    weights = [layer.kernel for layer in model.ff_layers]
    gradients = gradient_table(lambda: layer_losses(model, model.learn_from, x, y), weights)
    assert len(gradients) == 5
    reached = set()
    for k in range(5):
        for j in range(5):
            if gradients[k][j] is not None and np.abs(gradients[k][j]).max() > 0:
                reached.add((j, k))
    assert reached == crossing | {(k, k) for k in range(5)}


def test_only_the_pairs_second_loss_counts_in_the_first_layers_step():
    """Another goodness in layer 1, and so another loss: its step in the pair is the same."""
    x, y = batch()

    def after_a_step(goodness):
        layers = dense_layers(2)
        layers[0].goodness = goodness
        model = model_of(layers, "alternating", negatives="all_labels")
        model.train_on_batch(x, y)
        first = weights_of(model)
        model.train_on_batch(x, y)
        return first, weights_of(model)

    even, odd = after_a_step(keras_ff.goodness.MeanOfSquares())
    other_even, other_odd = after_a_step(keras_ff.goodness.MeanActivity())
    for one, other in zip(even, other_even, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
    assert np.abs(odd[0][0] - other_odd[0][0]).max() > 1e-4  # in an odd step layer 1 is by itself


def test_compiled_steps_alternate_as_eager_ones_do():
    x, y = batch((10, 6))
    models = []
    for eager in (True, False):
        model = model_of(
            dense_layers(2), "alternating", eager=eager, negatives=RandomLabels(seed=3)
        )
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0)
        models.append(model)
    assert_same_weights(*models, atol=5e-5)  # compiled and eager products round differently


def test_alternating_with_class_groups_and_sample_weights():
    """Samples of no weight do not count."""
    x, y = batch()

    def trained(samples, **arguments):
        layers = [FFDense(4, goodness="class_groups", activation="tanh") for _ in range(3)]
        for k, layer in enumerate(layers):
            layer.transform.kernel_initializer = keras.initializers.GlorotNormal(seed=k)
        model = model_of(
            layers, "alternating", label_embedding=None, negatives=None, metrics=["accuracy"]
        )
        for _ in range(3):
            model.train_on_batch(x[:samples], y[:samples], **arguments)
        return model

    half = trained(4)
    weighted = trained(8, sample_weight=np.array([2.0] * 4 + [0.0] * 4, "float32"))
    assert_same_weights(half, weighted)
    assert moved(half, weights_of(trained(8))) == (0, 1, 2)


@pytest.mark.tensorflow("what is gathered for one loss scale cannot leave a branch under JAX")
def test_alternating_under_mixed_float16():
    """Steps that are skipped for an overflow are none: the pairs are those of the next one."""
    x, y = batch()
    moves = {}
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        loss = keras_ff.losses.SymBa(ALPHA)
        model = model_of(dense_layers(3), "alternating", negatives="all_labels", loss=loss)
        model.build(x.shape)
        before = model.get_weights()
        for _ in range(8):
            if int(model.optimizer.iterations) < 2:
                model.train_on_batch(x, y)
        assert int(model.optimizer.iterations) == 2
        moves[policy] = [new - old for new, old in zip(model.get_weights(), before, strict=True)]
    for one, other in zip(moves["float32"], moves["mixed_float16"], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=0.01 * np.abs(one).max())


@pytest.mark.parametrize(
    "part",
    [
        lambda: {"loss": Logistic("learned")},
        lambda: {"auxiliary": SupCon(4)},
    ],
    ids=["threshold", "auxiliary"],
)
def test_what_has_no_part_in_a_pairs_loss_is_left_alone_without_a_warning(part):
    """The first layer of a pair steps by the second one's loss: its own threshold or head stays."""
    first = FFDense(5, **part())
    model = model_of([first, FFDense(4)], "alternating")
    x, y = batch()
    model.build(x.shape)

    def own():
        way = {id(weight) for weight in first.transform.trainable_weights}
        return [keras.ops.convert_to_numpy(w) for w in first.trainable_weights if id(w) not in way]

    before = own()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.train_on_batch(x, y)
        for old, new in zip(before, own(), strict=True):
            np.testing.assert_array_equal(old, new)
        model.train_on_batch(x, y)
    assert any(np.any(old != new) for old, new in zip(before, own(), strict=True))


@pytest.mark.parametrize("between", [keras_ff.layers.Opaque(np.sign), None], ids=["opaque", "none"])
def test_a_pair_with_something_between_that_passes_no_gradient(between):
    """The first of the pair has nothing to learn from in that step, and the second learns."""
    layers = dense_layers(2)
    model = model_of([layers[0], *([between] if between else []), layers[1]], "alternating")
    x, y = batch()
    model.build(x.shape)
    before = weights_of(model)
    model.train_on_batch(x, y)
    assert moved(model, before) == ((1,) if between else (0, 1))
    before = weights_of(model)
    model.train_on_batch(x, y)
    assert moved(model, before) == (0, 1)


@pytest.mark.parametrize("chosen", [(0,), (1,), (0, 2), (2, 3)], ids=str)
def test_layers_that_are_not_to_learn_stay_as_they_are(chosen):
    model = model_of(dense_layers(4), "alternating")
    x, y = batch()
    model.build(x.shape)
    model.learning_layers = chosen
    before = weights_of(model)
    for _ in range(2):
        model.train_on_batch(x, y)
    assert moved(model, before) == chosen


@pytest.mark.parametrize(
    ("make", "alone", "in_pairs"),
    [
        (lambda: dense_layers(1), 1, 1),
        (lambda: dense_layers(3), 1, 2),
        (
            lambda: [
                FFAttention(1, 4, patch_size=4),
                FFDense(4),
                FFLayer(keras.Sequential([keras.layers.Dense(3), keras.layers.Dense(2)])),
            ],
            4,
            5,
        ),
    ],
)
def test_locality_counts_both_layers_of_a_pair(make, alone, in_pairs):
    for schedule, expected in (
        ("simultaneous", alone),
        ("pipelined", alone),
        ("alternating", in_pairs),
    ):
        model = model_of(make(), schedule, label_embedding="overlay")
        model.build((None, 8, 8, 1))
        assert model.locality == expected, schedule


# --- pipelined, against simultaneous -------------------------------------------------------------


def class_groups():
    layers = [
        FFDense(
            4,
            goodness="class_groups",
            normalization="class_groups",
            kernel_initializer=keras.initializers.GlorotNormal(seed=k),
        )
        for k in range(3)
    ]
    return {"layers": layers, "label_embedding": None, "negatives": None}


def residual():
    def transform(k):
        return keras.layers.Dense(6, kernel_initializer=keras.initializers.GlorotNormal(seed=k))

    layers = [
        FFLayer(transform(0), activation="tanh"),
        keras.layers.Dropout(0.3, seed=1),
        FFResidual(transform(1), activation="tanh"),
        FFResidual(transform(2), activation="tanh", span=2, merge="concatenate"),
        FFLayer(transform(3), activation="tanh"),
    ]
    return {"layers": layers}


def convolutional():
    layers = [
        FFConv2D(
            3,
            normalization="batch",
            dropout=0.2,
            kernel_initializer=keras.initializers.GlorotNormal(seed=k),
        )
        for k in range(3)
    ]
    embedding = keras_ff.labels.LabelMap(seed=1)
    return {"layers": layers, "label_embedding": embedding}


STACKS = {
    "labels": (lambda: {"layers": dense_layers(3)}, (10, 6)),
    "hybrid images": (
        lambda: {
            "layers": dense_layers(3),
            "classes": 3,
            "negatives": keras_ff.negatives.HybridImages(wrong_labels=True, count=2),
        },
        (10, 6, 6, 1),
    ),
    "class groups": (class_groups, (10, 6)),
    "residual": (residual, (10, 6)),
    "convolutional": (convolutional, (10, 6, 6, 1)),
}


def pipelined_and_simultaneous(make, **compile_arguments):
    """Two models that differ in their schedule alone."""
    models = []
    for schedule in ("pipelined", "simultaneous"):
        keras.utils.set_random_seed(5)
        models.append(model_of(schedule=schedule, **make(), **compile_arguments))
    return models


def assert_same_history(one, other, rtol=1e-5):
    assert set(one) == set(other)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("name", "weighted"),
    [
        *((name, False) for name in STACKS if name != "hybrid images"),
        pytest.param(
            "hybrid images",
            False,
            marks=pytest.mark.tensorflow("slow under JAX; streams pass alike whatever they show"),
        ),
        ("labels", True),
    ],
)
def test_pipelined_ends_where_simultaneous_does(name, weighted):
    """Two epochs of three batches, the last one short: weights, state and figures."""
    make, shape = STACKS[name]
    models = pipelined_and_simultaneous(make)
    x, y = batch(shape, models[0].num_classes)
    weight = {"sample_weight": np.linspace(0.1, 2, 10)} if weighted else {}
    histories = [
        model.fit(x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, **weight).history
        for model in models
    ]
    assert_same_weights(*models)
    for one, other in zip(models[0].variables, models[1].variables, strict=True):
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other), atol=1e-6
        )
    assert_same_history(*histories)
    assert np.isfinite(histories[0]["loss"]).all()
    for model in models:
        assert int(model.optimizer.iterations) == 6
        assert [int(layer.optimizer.iterations) for layer in model.ff_layers] == [6] * len(
            model.ff_layers
        )


def test_pipelined_compiled():
    """Stages that are compiled one by one, with a short last batch, against eager steps."""
    models = []
    for schedule, eager in (("pipelined", False), ("simultaneous", True)):
        models.append(
            model_of(dense_layers(2), schedule, eager=eager, negatives=RandomLabels(seed=1))
        )
    x, y = batch((10, 6))
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    histories = [model.fit(data, epochs=2, verbose=0).history for model in models]
    assert_same_weights(*models, atol=1e-5)
    assert_same_history(*histories, rtol=1e-4)


def test_metrics_of_class_groups_are_measured_as_a_batch_leaves():
    """Also in the first epoch, though none has left when its last batch has come."""
    models = pipelined_and_simultaneous(class_groups, metrics=["accuracy"])
    x, y = batch((10, 6))
    arguments = {"batch_size": 5, "shuffle": False, "verbose": 0, "validation_data": (x[:6], y[:6])}
    histories = [model.fit(x, y, epochs=2, **arguments).history for model in models]
    assert {"accuracy", "val_accuracy", "val_loss"} <= set(histories[0])
    assert_same_history(*histories)


def test_layers_are_one_step_behind_each_other(monkeypatch):
    """What each layer works on in each step, by the labels that travel along."""
    taught = []
    teach = Passage.teach

    def recorded(self, chain, *arguments):
        taught.append((chain[0], int(self.labels[0])))
        return teach(self, chain, *arguments)

    monkeypatch.setattr(Passage, "teach", recorded)
    model = model_of(dense_layers(3), Pipelined(), classes=8)
    x, _ = batch((2, 6))
    seen = []
    for step in range(4):
        model.train_on_batch(x, np.full(2, step))
        seen.append(set(taught))
        taught.clear()
    assert seen == [
        {(0, 0)},
        {(0, 1), (1, 0)},
        {(0, 2), (1, 1), (2, 0)},
        {(0, 3), (1, 2), (2, 1)},
    ]
    assert [int(layer.optimizer.iterations) for layer in model.ff_layers] == [4, 3, 2]
    model.drain()
    assert sorted(taught) == [(1, 3), (2, 2), (2, 3)]
    assert [int(layer.optimizer.iterations) for layer in model.ff_layers] == [4, 4, 4]
    taught.clear()
    model.drain()  # nothing is left
    assert taught == []


def test_train_on_batch_with_drain_is_simultaneous():
    models = pipelined_and_simultaneous(STACKS["labels"][0])
    for seed in range(4):
        x, y = batch(seed=seed)
        for model in models:
            model.train_on_batch(x, y)
    assert moved(models[0], weights_of(models[1])) == (1, 2)
    for model in models:
        model.drain()  # which is nothing under other schedules
    assert_same_weights(*models)


def test_what_is_compiled_anew_goes_by_its_new_optimizer():
    model = model_of(dense_layers(2), "pipelined", eager=False)
    model.fit(*batch(), verbose=0)
    before = weights_of(model)
    model.compile(keras.optimizers.SGD(1e-12))
    model.fit(*batch(), verbose=0)
    assert moved(model, before) == ()
    assert [int(layer.optimizer.iterations) for layer in model.ff_layers] == [1, 1]


def test_what_is_under_way_is_drained_at_each_epochs_end():
    model = model_of(dense_layers(3), "pipelined")
    iterations = []

    def note(epoch, logs):
        iterations.append([int(layer.optimizer.iterations) for layer in model.ff_layers])

    x, y = batch((10, 6))
    model.fit(
        x,
        y,
        batch_size=4,
        epochs=3,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=note)],
    )
    assert iterations == [[3] * 3, [6] * 3, [9] * 3]


def test_evaluate_in_between_sees_layers_that_are_up_to_date():
    models = pipelined_and_simultaneous(STACKS["labels"][0], metrics=["accuracy"])
    x, y = batch((10, 6))
    results = []
    for model in models:
        found = []
        for start in (0, 4, 8):
            model.train_on_batch(x[start : start + 4], y[start : start + 4])
            found.append(model.evaluate(x, y, verbose=0, return_dict=True))
        model.drain()
        results.append(found)
    for one, other in zip(*results, strict=True):
        assert_same_history(one, other)
    assert_same_weights(*models)


def test_a_softmax_head_learns_from_what_leaves_the_last_layer():
    """The layers are those of simultaneous; the head sees each batch once, if by later layers."""
    models = pipelined_and_simultaneous(
        lambda: {"layers": dense_layers(3), "readout": "softmax"}, metrics=["accuracy"]
    )
    x, y = batch((10, 6))
    arguments = {"batch_size": 5, "shuffle": False, "verbose": 0}
    histories = [model.fit(x, y, epochs=2, **arguments).history for model in models]
    for one, other in zip(*(weights_of(model) for model in models), strict=True):
        for first, second in zip(one, other, strict=True):
            np.testing.assert_allclose(first, second, atol=1e-6)
    assert int(models[0].readout.optimizer.iterations) == 4
    assert np.abs(models[0].readout.head.get_weights()[0]).max() > 1e-3
    assert set(histories[0]) == set(histories[1])
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-5)


@pytest.mark.parametrize("batch_size", [5, 4], ids=["2 batches", "3 batches"])
def test_two_steps_an_execution(batch_size):
    """Whether or not the number of batches is even."""
    models = pipelined_and_simultaneous(STACKS["labels"][0], steps=2)
    x, y = batch((10, 6))
    histories = [
        model.fit(x, y, batch_size=batch_size, epochs=2, shuffle=False, verbose=0).history
        for model in models
    ]
    assert_same_weights(*models)
    assert_same_history(*histories)


def test_train_on_batch_takes_one_step_whatever_an_execution_takes():
    models = pipelined_and_simultaneous(STACKS["labels"][0], steps=2)
    x, y = batch()
    for model in models:
        model.train_on_batch(x, y)
        model.drain()
    assert_same_weights(*models)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_of_unknown_length():
    """The figures of an epoch hold all its batches, though none knows which one is the last."""
    models = pipelined_and_simultaneous(STACKS["labels"][0])
    x, y = batch((10, 6))
    specification = (tf.TensorSpec((None, 6)), tf.TensorSpec((None,), "int64"))
    data = tf.data.Dataset.from_generator(
        lambda: ((x[start : start + 4], y[start : start + 4]) for start in (0, 4, 8)),
        output_signature=specification,
    )
    histories = [model.fit(data, epochs=2, verbose=0).history for model in models]
    assert_same_weights(*models)
    assert_same_history(*histories)


def test_saved_and_loaded_between_epochs(tmp_path):
    """As if there had been no break, generators included."""
    whole, halved = (
        model_of(dense_layers(3, dropout=0.2), "pipelined", negatives=RandomLabels(seed=1))
        for _ in range(2)
    )
    x, y = batch((10, 6))
    arguments = {"batch_size": 4, "shuffle": False, "verbose": 0}
    halved.build(x.shape)
    whole.build(x.shape)
    for one, other in zip(whole.variables, halved.variables, strict=True):
        other.assign(one)
    whole.fit(x, y, epochs=2, **arguments)
    halved.fit(x, y, epochs=1, **arguments)
    halved.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layer_schedule == Pipelined()
    loaded.fit(x, y, initial_epoch=1, epochs=2, **arguments)
    assert_same_weights(whole, loaded)
    assert moved(whole, weights_of(halved)) == (0, 1, 2)


@pytest.mark.parametrize("schedule", [Alternating(), Pipelined()])
def test_a_saved_model_goes_on_from_the_same_step(schedule, tmp_path):
    """After an odd number of steps the pairs are the other ones; what was drained stays so."""
    model = model_of(dense_layers(4), schedule, negatives=RandomLabels(seed=1))
    x, y = batch()
    for _ in range(3):
        model.train_on_batch(x, y)
    model.drain()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layer_schedule == schedule
    for each in (model, loaded):
        each.train_on_batch(x, y)
        each.drain()
    assert int(loaded.optimizer.iterations) == 4
    assert_same_weights(model, loaded)


def test_compiled_alternating_refuses_one_loss_scale_for_all():
    keras.config.set_dtype_policy("mixed_float16")
    model = keras_ff.FFModel(dense_layers(3), 2, layer_schedule="alternating")
    with pytest.raises(ValueError, match=r"mixed_bfloat16.*Received: layer_schedule=Alternating"):
        model.compile("sgd")
    model.compile("sgd", run_eagerly=True)


def test_pipelined_refuses_one_loss_scale_for_all():
    keras.config.set_dtype_policy("mixed_float16")
    with pytest.raises(ValueError, match=r"mixed_bfloat16.*Received: layer_schedule=Pipelined"):
        model_of(dense_layers(2), "pipelined")
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = model_of(dense_layers(2), "pipelined")
    x, y = batch()
    model.build(x.shape)
    before = weights_of(model)
    model.fit(x, y, verbose=0)
    assert moved(model, before) == (0, 1)
