"""Stages: who learns in which epoch, and what the usual callbacks do under each schedule."""

import warnings

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff.layer_schedules import Greedy, Pipelined, Simultaneous, Windows
from keras_ff.layers import FFDense
from keras_ff.models import Stage, stages
from tests.helpers.either_backend import COMPILES

LAYERS = 3


@pytest.fixture
def data(three_classes):
    return three_classes


def model_of(schedule="greedy", layers=LAYERS, eager=True, **compiled):
    keras.utils.set_random_seed(7)
    model = keras_ff.FFModel([FFDense(8) for _ in range(layers)], 3, layer_schedule=schedule)
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"], run_eagerly=eager, **compiled)
    return model


def fitted(model, data, epochs, *callbacks, **arguments):
    arguments = {"shuffle": False, "verbose": 0, **arguments}
    return model.fit(*data, epochs=epochs, callbacks=list(callbacks), **arguments)


class Values(keras.callbacks.Callback):
    """Puts values of one's own into the logs, one per epoch."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


# --- division ------------------------------------------------------------------------------------


def dense(*trainable):
    layers = [FFDense(2) for _ in trainable]
    for layer, flag in zip(layers, trainable, strict=True):
        layer.trainable = flag
    return layers


@pytest.mark.parametrize(
    ("schedule", "epochs", "trainable", "expected"),
    [
        (Greedy(), 9, (1, 1, 1), [((0,), 3), ((1,), 3), ((2,), 3)]),
        (Greedy(), 4, (1, 1, 1), [((0,), 2), ((1,), 1), ((2,), 1)]),
        (Greedy(), 2, (1, 1, 1), [((0, 1), 1), ((2,), 1)]),
        (Greedy(), 1, (1, 1, 1), [((0, 1, 2), 1)]),
        (Greedy(), 2, (1, 1, 1, 1, 1), [((0, 1, 2), 1), ((3, 4), 1)]),
        (Greedy(), 6, (1, 0, 1), [((0,), 3), ((2,), 3)]),
        (Greedy([1, 2, 3]), 6, (1, 1, 1), [((0,), 1), ((1,), 2), ((2,), 3)]),
        (Greedy([1, 2, 3]), 6, (1, 0, 1), [((0,), 1), ((2,), 5)]),
        (Greedy(2), 6, (0, 0, 0), [((0,), 2), ((1,), 2), ((2,), 2)]),
        (Simultaneous(), 5, (1, 0, 1), [((0, 1, 2), 5)]),
        (Windows(overlap=0.5), 8, (1, 1, 1), [((0,), 2), ((0, 1), 2), ((1, 2), 2), ((2,), 2)]),
        (Windows(overlap=0.0), 4, (0, 1, 1), [((1,), 2), ((2,), 2)]),
    ],
)
def test_epochs_are_divided_among_the_layers_that_can_learn(schedule, epochs, trainable, expected):
    assert stages.plan(schedule, epochs, dense(*trainable)) == expected


def record(*fields):
    return [Stage(*each) for each in fields]


PLAN = [((0,), 3), ((1,), 3), ((2,), 3)]


@pytest.mark.parametrize(
    ("so_far", "epoch", "expected"),
    [
        ([], 0, (0, 3)),
        ([], 4, (1, 2)),  # plain division
        (record(((0,), 0, 2, "early stopping")), 2, (1, 3)),
        (record(((0,), 0, 2, "early stopping"), ((1,), 2, 3)), 3, (1, 2)),
        (record(((0,), 0, 2, "stopped")), 2, (0, 1)),
        (record(((0,), 0, 3, "epochs")), 3, (1, 3)),
        (record(((0,), 0, 2, "early stopping")), 5, (1, 1)),  # which does not end there
        (record(((2,), 6, 9, "epochs")), 9, (2, 1)),  # complete
    ],
)
def test_training_goes_on_with_the_recorded_stage(so_far, epoch, expected):
    assert stages.position(PLAN, so_far, epoch) == expected


# --- loss ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_loss_is_that_of_all_layers(data):
    model = model_of()
    history = fitted(model, data, 6, batch_size=60, validation_data=data).history
    of_layers = [np.array(history[f"val_layer_{number}/loss"]) for number in (1, 2, 3)]
    # Logs of layers begin with their turn; the loss counts them from the first epoch on.
    assert np.isnan(of_layers[2][:4]).all() and np.isfinite(of_layers[2][4:]).all()
    np.testing.assert_allclose(history["val_loss"][4:], np.sum(of_layers, 0)[4:], rtol=1e-5)
    # No step up that a layer's beginning would make.
    assert np.diff(history["val_loss"]).max() < 0.1 * history["val_loss"][0]
    assert np.diff(history["loss"]).max() < 0.25 * history["loss"][0]
    layer_1 = np.array(history["layer_1/loss"])
    waiting = np.array(history["loss"])[:2] - layer_1[:2]
    assert waiting[0] == pytest.approx(waiting[1]) and waiting[0] > 0.5  # two layers near log 2


@pytest.mark.slow
def test_evaluate_counts_layers_that_wait(data):
    model = model_of()
    model.fit(*data, epochs=LAYERS, steps_per_epoch=1, verbose=0, initial_epoch=LAYERS - 1)
    model.layers_trained.assign(1)
    before = model.evaluate(*data, verbose=0, return_dict=True)
    model.layers_trained.assign(LAYERS)
    logs = model.evaluate(*data, verbose=0, return_dict=True)
    assert before["loss"] == pytest.approx(logs["loss"])
    of_layers = [logs[f"layer_{number}/loss"] for number in (1, 2, 3)]
    assert logs["loss"] == pytest.approx(sum(of_layers), rel=1e-5)


# --- callbacks -----------------------------------------------------------------------------------


def test_early_stopping_ends_a_stage_and_not_the_run(data):
    model = model_of()
    stop = keras.callbacks.EarlyStopping("signal", patience=1, mode="min")
    # Better once in every stage, and no better afterwards.
    signal = Values("signal", [1.0, 1.0, 0.9, 0.9, 0.8, 0.8, 0.8, 0.8, 0.8])
    history = fitted(model, data, 9, signal, stop)
    assert model.stages == record(
        ((0,), 0, 2, "early stopping"),
        ((1,), 2, 4, "early stopping"),
        ((2,), 4, 6, "early stopping"),
    )
    assert len(history.epoch) == 6 and int(model.layers_trained) == LAYERS


@pytest.mark.slow
def test_a_stage_that_is_not_stopped_has_its_share_and_no_more(data):
    model = model_of()
    stop = keras.callbacks.EarlyStopping("signal", patience=1, mode="min")
    signal = Values("signal", [1.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    fitted(model, data, 9, signal, stop)
    assert model.stages == record(
        ((0,), 0, 2, "early stopping"), ((1,), 2, 5, "epochs"), ((2,), 5, 8, "epochs")
    )


@pytest.mark.slow
def test_restored_weights_are_those_of_each_stages_best_epoch(data):
    model = model_of()
    stop = keras.callbacks.EarlyStopping(
        "signal", patience=2, mode="min", restore_best_weights=True
    )
    signal = Values("signal", [0.5, 0.1, 0.9, 0.9, 0.8, 0.9])
    kept = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.append(model.get_weights())
    )
    fitted(model, data, 6, signal, keep, stop)
    first, second, third = ([0, 1], [2, 3], [4, 5])
    kernels = [model.ff_layers[index].kernel for index in range(LAYERS)]
    names = [weight.path for weight in model.weights]
    for kernel, stage, best in zip(kernels, (first, second, third), (1, 0, 0), strict=True):
        expected = kept[stage[best]][names.index(kernel.path)]
        np.testing.assert_array_equal(kernel, expected)


@pytest.mark.slow
def test_the_best_checkpoint_is_a_whole_network(data, tmp_path):
    """Though the monitor never again was as good as in the first epoch."""
    model = model_of()
    signal = Values("signal", [0.1, 0.2, 0.5, 0.6, 0.8, 0.7])
    path = tmp_path / "best.keras"
    keep = keras.callbacks.ModelCheckpoint(path, "signal", mode="min", save_best_only=True)
    fitted(model, data, 6, signal, keep)
    best = keras.saving.load_model(path)
    assert int(best.layers_trained) == LAYERS
    assert best.stages[-1].end == 6
    assert keep.best == 0.7


@pytest.mark.slow
def test_files_hold_the_rates_of_layers_that_wait_as_they_were(data, tmp_path):
    keep = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    signal = Values("signal", [1.0] * 9)
    reduce = keras.callbacks.ReduceLROnPlateau("signal", 0.1, patience=1, mode="min")
    fitted(model_of(), data, 9, signal, reduce, keep)
    loaded = keras.saving.load_model(tmp_path / "2.keras")
    rates = [float(layer.optimizer.learning_rate) for layer in loaded.ff_layers]
    np.testing.assert_allclose(rates, [0.001, 0.01, 0.01], rtol=1e-5)


@pytest.mark.slow
def test_a_limit_of_keras_divides_the_epochs(data, monkeypatch):
    monkeypatch.setattr(keras.src.backend.config, "_MAX_EPOCHS", 3)
    model = model_of()
    fitted(model, data, 30)
    assert [stage.layers for stage in model.stages] == [(0,), (1,), (2,)]


@pytest.mark.slow
def test_a_learning_rate_falls_for_the_layers_that_learn(data):
    model = model_of()
    signal = Values("signal", [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0])
    reduce = keras.callbacks.ReduceLROnPlateau("signal", 0.1, patience=1, mode="min")
    rates = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: rates.append(
            [float(layer.optimizer.learning_rate) for layer in model.ff_layers]
        )
    )
    history = fitted(model, data, 9, signal, reduce, look).history
    np.testing.assert_allclose(rates[0], [0.01] * 3, rtol=1e-5)
    np.testing.assert_allclose(rates[2], [0.001, 0.01, 0.01], rtol=1e-5)
    np.testing.assert_allclose(rates[3][1:], [0.01, 0.01], rtol=1e-5)
    np.testing.assert_allclose(rates[6][2:], [0.01], rtol=1e-5)
    assert sum(name.startswith("learning_rate_") for name in history) == LAYERS


@pytest.mark.slow
def test_any_other_stop_ends_fit_with_a_warning(data):
    class Limit(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 3

    model = model_of()
    with pytest.warns(UserWarning, match=r"after 4 of 9 epochs.*out of scores: 3\.") as caught:
        fitted(model, data, 9, Limit())
    (ours,) = [one for one in caught if "after 4" in str(one.message)]
    assert ours.filename == __file__
    assert model.stages[-1] == Stage((1,), 3, 4, "stopped")
    fitted(model, data, 9, initial_epoch=4)
    assert model.stages[1:] == record(((1,), 3, 6, "epochs"), ((2,), 6, 9, "epochs"))


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["simultaneous", "alternating", "pipelined"])
def test_schedules_of_one_stage_stop_as_in_keras(schedule, data):
    model = model_of(schedule)
    stop = keras.callbacks.EarlyStopping("signal", patience=1, mode="min")
    fitted(model, data, 9, Values("signal", [1.0] * 9), stop)
    assert model.stages == record(((0, 1, 2), 0, 2, "early stopping"))


@pytest.mark.slow
def test_whole_training_warns_of_nothing(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for epochs in (1, 2, 3):
            model = model_of()
            fitted(model, data, epochs)
            assert int(model.layers_trained) == LAYERS


# --- going on ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_stages_are_saved(data, tmp_path):
    model = model_of()
    stop = keras.callbacks.EarlyStopping("signal", patience=1, mode="min")
    fitted(model, data, 9, Values("signal", [1.0] * 9), stop)
    count = len(model.get_weights())
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.stages == model.stages
    assert len(loaded.get_weights()) == count


@pytest.mark.slow
def test_a_backup_goes_on_with_its_stage(data, tmp_path):
    class Crash(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:
                raise RuntimeError

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    def stop():
        return keras.callbacks.EarlyStopping("signal", patience=1, mode="min")

    signal = Values("signal", [1.0, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    undisturbed = fitted(model_of(), data, 9, signal, stop(), validation_data=data).history
    with pytest.raises(RuntimeError):
        fitted(model_of(), data, 9, signal, stop(), backup(), Crash(), validation_data=data)
    model = model_of()
    resumed = fitted(model, data, 9, signal, stop(), backup(), validation_data=data).history
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(resumed[name], undisturbed[name][3:], rtol=1e-6)
    assert [stage.layers for stage in model.stages] == [(0,), (1,), (2,)]
    assert [(stage.first, stage.end) for stage in model.stages] == [(0, 2), (2, 5), (5, 8)]


def test_fit_in_a_loop_trains_every_layer_and_traces_once(data):
    model = model_of(eager=False)
    traces = []
    train_on = model.train_on
    model.train_on = lambda *batch: traces.append(1) or train_on(*batch)
    for _ in range(4):
        model.fit(*data, epochs=1, verbose=0)
    assert int(model.layers_trained) == LAYERS
    assert len(traces) == (1 if COMPILES else 4)


@pytest.mark.slow
def test_a_readout_in_a_loop_traces_once(data):
    """`fit` and `fit_readout` in turn, each with the step and the evaluation of its own."""
    model = keras_ff.FFModel([FFDense(8)], 3, readout="softmax", layer_schedule=Pipelined())
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    traces = []
    for name in ("begin_step", "test_on"):
        method = getattr(model, name)
        setattr(model, name, lambda *a, m=method, n=name, **k: traces.append(n) or m(*a, **k))
    first = []
    for _ in range(3):
        before = np.array(model.ff_layers[0].kernel) if model.built else None
        history = model.fit(*data, epochs=1, validation_data=data, verbose=0).history
        assert np.isfinite(history["layer_1/loss"]).all()
        learned = np.array(model.ff_layers[0].kernel)
        assert before is None or (learned != before).any()
        history = model.fit_readout(*data, epochs=1, validation_data=data, verbose=0).history
        assert "layer_1/loss" not in history or np.isnan(history["layer_1/loss"]).all()
        np.testing.assert_array_equal(model.ff_layers[0].kernel, learned)
        first = first or list(traces)
    assert traces == first


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["auto", False])
def test_stages_keep_their_steps(cache, data):
    """Whether what frozen layers give is kept or not, and for other samples too."""
    x, y = data
    model = model_of(Greedy(cache=cache), eager=False)
    traces = []
    train_on = model.train_on
    model.train_on = lambda *batch: traces.append(1) or train_on(*batch)
    first = None
    for rows in (slice(None), slice(20), slice(None, None, -1)):
        before = np.array(model.ff_layers[2].kernel) if model.built else None
        history = fitted(model, (x[rows], y[rows]), 3, batch_size=10).history
        first = first or len(traces)
        assert np.isfinite(history["layer_3/loss"][-1])
        assert before is None or np.any(np.array(model.ff_layers[2].kernel) != before)
    assert len(traces) == first
    # What was kept takes no memory any more.
    shelf = model._fitting.shelf.values
    assert bool(shelf) == (cache == "auto" and keras.backend.backend() == "tensorflow")
    assert all(np.array(rows).size == 0 for rows in shelf.values())


@pytest.mark.slow
def test_steps_in_a_loop_look_up_what_this_fit_has_kept(data):
    ours, theirs = (model_of(Greedy(cache=cache), eager=False) for cache in ("auto", False))
    for model in (ours, theirs):
        for _ in range(2):
            keras.utils.set_random_seed(3)
            fitted(model, data, 6)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
