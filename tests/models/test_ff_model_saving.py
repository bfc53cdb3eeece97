"""Saving, loading and going on as if nothing had happened; configurations; export."""

import json

import keras
import numpy as np
import pytest

import keras_ff

EPOCHS = 4


def plain(config):
    """A configuration as it is read back from JSON."""
    return json.loads(json.dumps(config))


def everything(model, values):
    """All a run depends on: weights, generators and the optimizers' slots."""
    return [*values(model), *values(model.optimizer.variables)]


def goes_on_after_loading(model, fit, data, values, same, tmp_path, stop=2):
    """Train, save, load, and compare going on with the model and with what was loaded."""
    fit(model, *data, epochs=EPOCHS, initial_epoch=0, callbacks=[Until(stop)])
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert type(loaded) is type(model)
    same(everything(loaded, values), everything(model, values))
    assert loaded.learning_layers == model.learning_layers
    np.testing.assert_array_equal(
        loaded.predict(data[0], verbose=0), model.predict(data[0], verbose=0)
    )
    before = values(model.trainable_variables)
    histories = [
        fit(one, *data, epochs=EPOCHS, initial_epoch=stop).history for one in (model, loaded)
    ]
    for name, metrics in histories[0].items():
        np.testing.assert_array_equal(metrics, histories[1][name])
    same(everything(loaded, values), everything(model, values))
    after = values(model.trainable_variables)
    moved = [np.abs(one - other).max() for one, other in zip(before, after, strict=True)]
    assert max(moved) > 1e-4
    return loaded


class Until(keras.callbacks.Callback):
    """Ends training before an epoch."""

    def __init__(self, stop):
        super().__init__()
        self.stop = stop

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 == self.stop


# --- training goes on -------------------------------------------------------------------


@pytest.mark.slow
def test_training_goes_on_under_simultaneous(new_model, fit, three_classes, values, same, tmp_path):
    model = new_model(
        3, optimizer=keras.optimizers.Adam(0.01), metrics=["accuracy"], run_eagerly=False
    )
    goes_on_after_loading(model, fit, three_classes, values, same, tmp_path)


@pytest.mark.slow
def test_training_goes_on_in_the_middle_of_greedy(
    new_model, fit, three_classes, values, same, tmp_path
):
    model = new_model(
        3,
        units=(16, 16, 16),
        optimizer=keras.optimizers.Adam(0.01),
        model={"layer_schedule": keras_ff.layer_schedules.Greedy([1, 2, 1])},
    )
    loaded = goes_on_after_loading(model, fit, three_classes, values, same, tmp_path)
    assert int(loaded.layers_trained) == 3


@pytest.mark.slow
def test_training_goes_on_with_dropout(new_model, fit, three_classes, values, same, tmp_path):
    model = new_model(3, optimizer=keras.optimizers.Adam(0.01), layer={"dropout": 0.4})
    goes_on_after_loading(model, fit, three_classes, values, same, tmp_path)


@pytest.mark.slow
def test_training_goes_on_with_a_learned_threshold(
    new_model, fit, three_classes, values, same, tmp_path
):
    model = new_model(
        3, optimizer=keras.optimizers.Adam(0.01), loss=keras_ff.losses.Logistic("learned")
    )
    loaded = goes_on_after_loading(model, fit, three_classes, values, same, tmp_path)
    thresholds = [float(layer.threshold) for layer in loaded.ff_layers]
    assert all(abs(threshold - 1.0) > 1e-3 for threshold in thresholds)


@pytest.mark.slow
def test_training_goes_on_with_a_softmax_readout(
    new_model, fit, three_classes, values, same, tmp_path
):
    model = new_model(
        3,
        optimizer=keras.optimizers.Adam(0.01),
        model={"readout": "softmax", "layer_schedule": "greedy"},
    )
    goes_on_after_loading(model, fit, three_classes, values, same, tmp_path, stop=3)


@pytest.mark.slow
def test_training_goes_on_with_batch_normalization(
    new_model, fit, three_classes, values, same, tmp_path
):
    model = new_model(3, optimizer=keras.optimizers.Adam(0.01), layer={"normalization": "batch"})
    goes_on_after_loading(model, fit, three_classes, values, same, tmp_path)


@pytest.mark.slow
def test_training_goes_on_with_averages_and_rates_of_layers(
    new_model, fit, three_classes, values, same, tmp_path
):
    model = new_model(
        3,
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.75),
        model={"layer_schedule": "greedy"},
    )
    model.optimizer.optimizers[1].learning_rate = 0.025
    loaded = goes_on_after_loading(model, fit, three_classes, values, same, tmp_path)
    assert float(loaded.optimizer.optimizers[1].learning_rate) == pytest.approx(0.025)


@pytest.mark.slow
def test_training_goes_on_in_mixed_float16(new_model, fit, three_classes, values, same, tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    model = new_model(3, optimizer=keras.optimizers.Adam(0.01))
    model.optimizer.initial_scale = 2.0**10
    loaded = goes_on_after_loading(model, fit, three_classes, values, same, tmp_path)
    assert isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)


@pytest.mark.slow
def test_training_goes_on_by_train_on_batch(new_model, two_classes, values, same, tmp_path):
    model = new_model(model={"layer_schedule": "greedy"}, optimizer="adam")
    model.learning_layers = [1]
    model.train_on_batch(*two_classes)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    start = values(model.ff_layers[1].trainable_variables)
    for one in (model, loaded):
        one.train_on_batch(*two_classes)
    same(everything(loaded, values), everything(model, values))
    assert np.abs(values(model.ff_layers[1].trainable_variables)[0] - start[0]).max() > 1e-5


# --- what is saved ----------------------------------------------------------------------


@pytest.mark.slow
def test_compile_arguments_are_saved(new_model, two_classes, tmp_path):
    model = new_model(
        loss=keras_ff.losses.Logistic(threshold=0.5, margin=0.1),
        optimizer=keras.optimizers.Adam(0.03, beta_1=0.8),
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")],
        weighted_metrics=["sparse_categorical_accuracy"],
        steps_per_execution=3,
        run_eagerly=True,
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.compiled and loaded.run_eagerly and loaded.steps_per_execution == 3
    for layer, optimizer in zip(loaded.ff_layers, loaded.optimizer.optimizers, strict=True):
        assert layer.loss == keras_ff.losses.Logistic(threshold=0.5, margin=0.1)
        assert optimizer.beta_1 == 0.8 and float(optimizer.learning_rate) == pytest.approx(0.03)
    expected = model.evaluate(*two_classes, verbose=0, return_dict=True)
    assert {"top", "accuracy", "sparse_categorical_accuracy"} <= set(expected)
    assert loaded.evaluate(*two_classes, verbose=0, return_dict=True) == expected


@pytest.mark.slow
def test_load_without_compiling(new_model, two_classes, values, same, tmp_path):
    model = new_model(loss=keras_ff.losses.Logistic("learned"))
    model.train_on_batch(*two_classes)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert not loaded.compiled
    loaded.run_eagerly = model.run_eagerly  # a compiled program may round otherwise
    x, _ = two_classes
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.slow
def test_a_model_without_compile_is_saved(two_classes, tmp_path):
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=2)
    scores = model.predict(two_classes[0], verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.predict(two_classes[0], verbose=0), scores)


@pytest.mark.slow
def test_subclassed_parts_are_loaded(two_classes, tmp_path):
    """A transform of several weights, an activation by name, and layers' own parts."""
    transform = keras.Sequential([keras.layers.Dense(8, "tanh"), keras.layers.Dense(6)])
    layers = [
        keras_ff.layers.FFLayer(
            transform, activation="relu", goodness="sum_of_squares", loss="logistic"
        ),
        keras_ff.layers.FFDense(6, optimizer="sgd", normalization="layer", dropout=0.1),
    ]
    model = keras_ff.FFModel(
        layers,
        2,
        label_embedding=keras_ff.labels.Append(strength=0.5),
        negatives=keras_ff.negatives.RandomLabels(seed=4),
        layer_schedule=keras_ff.layer_schedules.Greedy([1, 2]),
        readout=keras_ff.readouts.Goodness(layers=[1]),
        check_data=False,
        name="mine",
    )
    model.compile("adam", run_eagerly=True)
    model.fit(*two_classes, epochs=3, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert plain(loaded.get_config()) == plain(model.get_config())
    x, _ = two_classes
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.slow
def test_save_weights_and_load_weights(new_model, fit, three_classes, values, same, tmp_path):
    path = tmp_path / "model.weights.h5"
    arguments = {"optimizer": keras.optimizers.Adam(0.01), "layer": {"dropout": 0.3}}
    model = new_model(3, **arguments)
    fit(model, *three_classes)
    model.save_weights(path)
    other = new_model(3, **arguments)
    other.optimizer.build(other.trainable_variables)
    other.set_weights([np.zeros(weight.shape, weight.dtype) for weight in other.weights])
    other.load_weights(path)
    same(everything(other, values), everything(model, values))
    for one in (model, other):
        fit(one, *three_classes)
    same(everything(other, values), everything(model, values))


@pytest.mark.slow
def test_weights_of_another_model_are_refused(new_model, tmp_path):
    path = tmp_path / "model.weights.h5"
    new_model().save_weights(path)
    with pytest.raises(ValueError, match="could not be loaded"):
        new_model(units=(16, 8)).load_weights(path)
    with pytest.raises(ValueError, match=r"not those of this FFModel.*Received: entries"):
        new_model(layer={"dropout": 0.5}).load_weights(path)


@pytest.mark.slow
def test_an_unbuilt_model_builds_itself_when_it_loads(two_classes, tmp_path):
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=2)
    model.compile()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert not loaded.built
    loaded.fit(*two_classes, verbose=0)
    assert loaded.built


# --- configurations ---------------------------------------------------------------------


def test_get_config_and_from_config(new_model):
    model = new_model(
        3,
        model={"readout": "softmax", "layer_schedule": "greedy", "name": "mine"},
        layer={"dropout": 0.25, "loss": keras_ff.losses.SymBa(2.0), "optimizer": "adam"},
    )
    config = plain(model.get_config())
    again = keras_ff.FFModel.from_config(config)
    assert plain(again.get_config()) == plain(model.get_config())
    assert config == plain(model.get_config())  # a caller's configuration stays as it was
    assert again.name == "mine" and again.num_classes == 3 and not again.built
    assert [layer.dropout.rate for layer in again.ff_layers] == [0.25, 0.25]
    assert again.ff_layers[0].loss == keras_ff.losses.SymBa(2.0)
    assert isinstance(again.readout, keras_ff.readouts.Softmax)


@pytest.mark.slow
def test_clone_model(new_model, fit, two_classes, values, same):
    model = new_model()
    start = values(model)
    clone = keras.models.clone_model(model)
    assert clone is not model and plain(clone.get_config()) == plain(model.get_config())
    assert not {id(layer) for layer in clone.ff_layers} & {id(layer) for layer in model.ff_layers}
    clone.compile("sgd", run_eagerly=True)
    fit(clone, *two_classes)
    same(values(model), start)
    x, _ = two_classes
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.slow
def test_to_json(new_model, two_classes):
    model = new_model(model={"label_embedding": "overlay"})
    text = model.to_json()
    again = keras.models.model_from_json(text)
    assert plain(again.get_config()) == plain(model.get_config())
    if not again.built:
        again.build((None, 6))
    again.set_weights(model.get_weights())
    x, _ = two_classes
    np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0))


# --- export -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["goodness", "softmax"])
def test_export_to_a_saved_model(readout, new_model, fit, two_classes, tmp_path):
    import tensorflow as tf

    model = new_model(model={"readout": readout, "layer_schedule": "greedy"})
    fit(model, *two_classes, epochs=2)
    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "exported"))
    x, _ = two_classes
    for count in (30, 7):
        scores = served.serve(x[:count]).numpy()
        assert scores.dtype == np.float32 and np.abs(scores).max() > 0.1
        np.testing.assert_allclose(scores, model.predict(x[:count], verbose=0), rtol=1e-5)
