"""Pipelined: layers one batch behind another, ending where Simultaneous does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_ff
from keras_ff.layer_schedules import Alternating, Pipelined
from keras_ff.layers import FFConv2D, FFLayer, FFResidual
from keras_ff.negatives import RandomLabels
from tests.helpers.schedules import (
    assert_same_weights,
    batch,
    class_groups,
    dense_layers,
    model_of,
    moved,
    weights_of,
)


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "weighted"),
    [
        *((name, False) for name in STACKS if name != "hybrid images"),
        pytest.param(
            "hybrid images",
            False,
            marks=pytest.mark.not_under("jax", "slow; streams pass alike whatever they show"),
        ),
        ("labels", True),
    ],
)
def test_pipelined_ends_where_simultaneous_does(name, weighted):
    """Two epochs of three batches, the last one short: weights, state and metrics."""
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    train_step = FFLayer.train_step

    def recorded(self, batch):
        taught.append((batch.layer, int(batch.labels[0])))
        return train_step(self, batch)

    monkeypatch.setattr(FFLayer, "train_step", recorded)
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_what_is_compiled_anew_goes_by_its_new_optimizer():
    model = model_of(dense_layers(2), "pipelined", eager=False)
    model.fit(*batch(), verbose=0)
    before = weights_of(model)
    model.compile(keras.optimizers.SGD(1e-12))
    model.fit(*batch(), verbose=0)
    assert moved(model, before) == ()
    assert [int(layer.optimizer.iterations) for layer in model.ff_layers] == [1, 1]


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_train_on_batch_takes_one_step_whatever_an_execution_takes():
    models = pipelined_and_simultaneous(STACKS["labels"][0], steps=2)
    x, y = batch()
    for model in models:
        model.train_on_batch(x, y)
        model.drain()
    assert_same_weights(*models)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_of_unknown_length():
    """The metrics of an epoch hold all its batches, though none knows which one is the last."""
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
