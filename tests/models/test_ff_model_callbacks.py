"""Keras's own callbacks with an FFModel, whose optimizer is one a layer."""

import csv

import keras
import numpy as np
import pytest

import keras_ff


class Remember(keras.callbacks.Callback):
    """Keeps the trainable weights of before training and of after each epoch, and each batch."""

    def __init__(self, values):
        super().__init__()
        self.values = values

    def on_train_begin(self, logs=None):
        self.epochs = [self.values(self.model.trainable_variables)]
        self.batches = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(self.values(self.model.trainable_variables))

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.values(self.model.trainable_variables))


@pytest.fixture
def remember(values):
    return Remember(values)


def distances(first, second):
    """How far apart two lists of arrays are, array by array."""
    return [np.abs(one - other).max() for one, other in zip(first, second, strict=True)]


# --- stopping ---------------------------------------------------------------------------


@pytest.mark.slow
def test_early_stopping_restores_the_best_weights(new_model, fit, two_classes, remember, same):
    model = new_model(run_eagerly=False)
    # The loss falls; in mode "max" the first epoch is the best one.
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss", mode="max", patience=2, restore_best_weights=True
    )
    history = fit(
        model, *two_classes, epochs=9, validation_data=two_classes, callbacks=[remember, stopping]
    )
    losses = history.history["val_loss"]
    assert len(losses) == 3 and losses[0] > losses[1] > losses[2]
    same(remember.values(model.trainable_variables), remember.epochs[1])
    assert min(distances(remember.epochs[1], remember.epochs[3])) > 1e-3
    restored = model.evaluate(*two_classes, batch_size=20, verbose=0, return_dict=True)
    assert restored["loss"] == pytest.approx(losses[0], rel=1e-6)


@pytest.mark.slow
def test_early_stopping_restores_how_many_layers_score(new_model, fit, two_classes):
    model = new_model(model={"layer_schedule": "greedy"})
    stopping = keras.callbacks.EarlyStopping(
        monitor="layer_1/loss", mode="max", patience=1, restore_best_weights=True
    )
    history = fit(model, *two_classes, epochs=2, callbacks=[stopping])
    assert history.epoch == [0, 1]
    assert int(model.layers_trained) == 2  # every stage restores the best of its own


def test_terminate_on_nan(new_model, fit, two_classes):
    model = new_model()
    model.ff_layers[1].transform.kernel.assign(np.full((16, 16), np.nan))
    history = fit(model, *two_classes, epochs=5, callbacks=[keras.callbacks.TerminateOnNaN()])
    assert history.epoch == [0]
    assert np.isnan(history.history["loss"][0])
    assert int(model.optimizer.iterations) == 1


@pytest.mark.slow
def test_stop_training(new_model, fit, two_classes):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = int(self.model.optimizer.iterations) == 3

    model = new_model()
    history = fit(model, *two_classes, epochs=9, callbacks=[Stop()])
    assert history.epoch == [0, 1]
    assert int(model.optimizer.iterations) == 3
    assert model.stop_training


# --- files ------------------------------------------------------------------------------


@pytest.mark.slow
def test_model_checkpoint(new_model, fit, two_classes, tmp_path, remember, same):
    model = new_model(metrics=["accuracy"])
    every = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}-{loss:.3f}.keras")
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.weights.h5",
        monitor="val_loss",
        mode="max",
        save_best_only=True,
        save_weights_only=True,
    )
    history = fit(
        model,
        *two_classes,
        epochs=2,
        validation_data=two_classes,
        callbacks=[remember, every, best],
    ).history
    names = [f"{epoch}-{history['loss'][epoch - 1]:.3f}.keras" for epoch in (1, 2)]
    assert {path.name for path in tmp_path.iterdir()} == {*names, "best.weights.h5"}
    for name, weights in zip(names, remember.epochs[1:], strict=True):
        same(remember.values(keras.saving.load_model(tmp_path / name).trainable_variables), weights)
    model.load_weights(tmp_path / "best.weights.h5")
    same(remember.values(model.trainable_variables), remember.epochs[1])


@pytest.mark.slow
def test_csv_logger(new_model, fit, two_classes, tmp_path):
    model = new_model(model={"layer_schedule": "greedy"}, metrics=["accuracy"])
    path = tmp_path / "log.csv"
    history = fit(
        model,
        *two_classes,
        epochs=2,
        validation_data=two_classes,
        callbacks=[keras.callbacks.CSVLogger(path)],
    ).history
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row.pop("epoch") for row in rows] == ["0", "1"]
    assert set(rows[0]) == set(history)
    for name, metrics in history.items():
        written = [float(row[name]) for row in rows]
        assert written == pytest.approx(metrics, nan_ok=True), name
    assert "layer_2/loss" in rows[0] and "accuracy" in rows[0]


@pytest.mark.slow
def test_tensorboard(new_model, fit, two_classes, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = new_model(metrics=["accuracy"], run_eagerly=False, optimizer=keras.optimizers.SGD(0.25))
    board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1, write_steps_per_second=True)
    history = fit(
        model, *two_classes, epochs=2, validation_data=two_classes, callbacks=[board]
    ).history

    import tensorflow as tf

    def scalars(part):
        events = EventAccumulator(str(tmp_path / part), size_guidance={"tensors": 0})
        events.Reload()
        tensors = {name: events.Tensors(name) for name in events.Tags()["tensors"]}
        return {
            name: [(event.step, tf.make_ndarray(event.tensor_proto)) for event in values]
            for name, values in tensors.items()
        }

    train, validation = scalars("train"), scalars("validation")
    for name in ("loss", "accuracy", "layer_1/loss", "layer_2/pair_accuracy"):
        steps, metrics = zip(*train[f"epoch_{name}"], strict=True)
        assert steps == (0, 1)
        assert [float(value) for value in metrics] == pytest.approx(history[name])
        at_end = [float(value) for _, value in validation[f"epoch_{name}"]]
        assert at_end == pytest.approx(history[f"val_{name}"])
    for number in (1, 2):
        rates = train[f"epoch_learning_rate_layer_{number}"]
        assert [float(value) for _, value in rates] == [0.25, 0.25]
    # Steps are those of the model: two an epoch.
    assert [step for step, _ in validation["evaluation_loss_vs_iterations"]] == [2, 4]
    assert all(float(value) > 0 for _, value in train["epoch_steps_per_second"])
    assert sum("kernel" in name for name in train) == 2


class Crash(keras.callbacks.Callback):
    """Raises in the middle of the third epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (2, 1):
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["greedy", "simultaneous"])
def test_backup_and_restore(schedule, new_model, fit, three_classes, tmp_path, values, same):
    def fresh(**layer):
        return new_model(
            3,
            model={"layer_schedule": schedule},
            layer={"dropout": 0.2, **layer},
            optimizer=keras.optimizers.Adam(0.01),
        )

    undisturbed = fresh()
    start = values(undisturbed)
    fit(undisturbed, *three_classes, epochs=4)

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    with pytest.raises(KeyboardInterrupt):
        fit(fresh(), *three_classes, epochs=4, callbacks=[backup(), Crash()])
    resumed = fresh(kernel_initializer="he_normal")
    assert max(distances(values(resumed), start)) > 0.1
    history = fit(resumed, *three_classes, epochs=4, callbacks=[backup()])
    assert history.epoch == [2, 3]
    same(values(resumed), values(undisturbed))
    same(values(resumed.optimizer.variables), values(undisturbed.optimizer.variables))
    assert not (tmp_path / "backup").exists()


# --- learning rates and averages --------------------------------------------------------


@pytest.mark.slow
def test_learning_rate_scheduler(new_model, fit, two_classes, remember, same):
    model = new_model(model={"readout": "softmax"}, run_eagerly=False)
    plan = [0.1, 0.0, 0.05]
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: plan[epoch])
    rates = []

    class Rates(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            rates.append(
                [float(optimizer.learning_rate) for optimizer in self.model.optimizer.optimizers]
            )

    history = fit(
        model, *two_classes, batch_size=30, epochs=3, callbacks=[remember, scheduler, Rates()]
    )
    # Two layers and the readout.
    assert np.array(rates) == pytest.approx(np.array([[rate] * 3 for rate in plan]))
    for name in ("layer_1", "layer_2", "readout"):
        assert history.history[f"learning_rate_{name}"] == pytest.approx(plan)
    # One batch an epoch: no step at a rate of zero, and half a step at half the rate.
    same(remember.epochs[2], remember.epochs[1])
    other = new_model(model={"readout": "softmax"})
    constant = Remember(remember.values)
    fit(other, *two_classes, batch_size=30, epochs=2, callbacks=[constant])
    same(remember.epochs[1], constant.epochs[1], atol=1e-6)
    # The readout's step depends on how far the layers have gone in theirs: not the half exactly.
    layers = slice(0, 4)
    for half, start, whole in zip(
        remember.epochs[3][layers], *(epoch[layers] for epoch in constant.epochs[1:]), strict=True
    ):
        np.testing.assert_allclose(half - start, (whole - start) / 2, atol=1e-6)
        assert np.abs(whole - start).max() > 1e-4


@pytest.mark.slow
def test_reduce_lr_on_plateau_acts_on_every_layers_optimizer(
    new_model, fit, two_classes, values, same
):
    layers = [
        keras_ff.layers.FFDense(16),
        keras_ff.layers.FFDense(16, optimizer=keras.optimizers.SGD(0.4)),
    ]

    def fresh():
        keras.utils.set_random_seed(3)
        model = keras_ff.FFModel(
            [keras_ff.layers.FFDense.from_config(layer.get_config()) for layer in layers],
            num_classes=2,
            layer_schedule="simultaneous",
            readout="softmax",
        )
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        model.build((None, 6))
        return model

    # The loss falls: to mode "max", every epoch after the first is one without improvement.
    reduce = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, mode="max")
    model, by_hand, unreduced = fresh(), fresh(), fresh()
    history = fit(model, *two_classes, epochs=4, callbacks=[reduce]).history
    assert np.all(np.diff(history["loss"]) < 0)
    assert [float(optimizer.learning_rate) for optimizer in model.optimizer.optimizers] == (
        pytest.approx([0.1 / 8, 0.4 / 8, 0.1 / 8])
    )
    assert history["learning_rate_layer_2"] == pytest.approx([0.4, 0.4, 0.2, 0.1])

    for epoch in range(4):
        for optimizer, rate in zip(by_hand.optimizer.optimizers, (0.1, 0.4, 0.1), strict=True):
            optimizer.learning_rate = rate * [1, 1, 0.5, 0.25][epoch]
        fit(by_hand, *two_classes, epochs=epoch + 1, initial_epoch=epoch)
    weights = values(model.trainable_variables)
    same(weights, values(by_hand.trainable_variables), atol=1e-6)
    fit(unreduced, *two_classes, epochs=4)
    assert min(distances(weights, values(unreduced.trainable_variables))) > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("eager, built", [(True, True), (False, True), (False, False)])
def test_swap_ema_weights_spares_layers_that_have_not_started(
    eager, built, new_model, fit, two_classes, remember, same
):
    def fresh(**arguments):
        return new_model(
            units=(16, 16, 16),
            model={"layer_schedule": keras_ff.layer_schedules.Greedy(epochs_per_layer=1)},
            optimizer=keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.75),
            run_eagerly=eager,
            **arguments,
        )

    start = remember.values(fresh().trainable_variables)
    model = fresh(built=built)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    with pytest.warns(UserWarning, match="stay untrained"):
        fit(model, *two_classes, epochs=2, callbacks=[swap, remember])
    weights = remember.values(model.trainable_variables)
    same(weights[4:], start[4:], atol=1e-6)

    # By hand: each layer's average starts with its own first step. Of a layer that has learned,
    # later steps are none, so that its average stays.
    first = average(remember.batches[:2], slice(0, 2))
    second = average(remember.batches[2:], slice(2, 4))
    same(remember.epochs[1][:2], first, atol=1e-6)
    same(remember.epochs[1][2:], start[2:], atol=1e-6)
    same(weights[2:4], second, atol=1e-6)
    assert min(distances(second, remember.batches[-1][2:4])) > 1e-4


def average(batches, part, momentum=0.75):
    """The moving average of weights over batches, which starts at the first."""
    mean = batches[0][part]
    for weights in batches[1:]:
        mean = [
            momentum * one + (1 - momentum) * other
            for one, other in zip(mean, weights[part], strict=True)
        ]
    return mean


@pytest.mark.slow
def test_swap_ema_weights_for_validation_leaves_training_untouched(
    new_model, fit, two_classes, remember, same
):
    def trained(callbacks, **arguments):
        model = new_model(
            model={"layer_schedule": "greedy"},
            optimizer=keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.75),
        )
        history = fit(model, *two_classes, epochs=2, callbacks=callbacks, **arguments)
        return history.history

    trained([remember])
    alone = remember.batches
    swap = keras.callbacks.SwapEMAWeights()
    history = trained([remember, swap], validation_data=two_classes)
    for weights, others in zip(alone, remember.batches, strict=True):
        same(weights, others, atol=1e-6)
    # Validation used the averages, which lag behind: its loss is not that of the weights.
    assert np.isfinite(history["val_loss"]).all()


# --- keras_ff's own ---------------------------------------------------------------------


@pytest.mark.slow
def test_a_callback_list_can_be_passed(new_model, fit, two_classes):
    model = new_model(model={"layer_schedule": "greedy"})
    callbacks = keras.callbacks.CallbackList([], add_history=True, model=model, epochs=2)
    fit(model, *two_classes, epochs=2, callbacks=callbacks)
    assert int(model.layers_trained) == 2
    assert model.history.epoch == [0, 1]


@pytest.mark.slow
def test_a_callback_list_can_be_passed_twice(new_model, fit, two_classes):
    model = new_model(model={"layer_schedule": "greedy"})
    callbacks = keras.callbacks.CallbackList([], add_history=True, model=model, epochs=4)
    fit(model, *two_classes, epochs=4, callbacks=callbacks)
    other = new_model(model={"layer_schedule": "greedy"})
    callbacks.set_model(other)
    history = fit(other, *two_classes, epochs=2, callbacks=callbacks).history
    # The schedule is that of two epochs, not of four. Keras goes on with the same History.
    assert np.isfinite(history["layer_2/loss"][-2:]).tolist() == [False, True]
    assert int(other.layers_trained) == 2


@pytest.mark.slow
def test_a_single_callback_can_be_passed(new_model, fit, two_classes):
    epochs = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch))
    fit(new_model(), *two_classes, epochs=2, callbacks=callback)
    assert epochs == [0, 1]


@pytest.mark.slow
def test_logs_of_batches_hold_all_metrics(new_model, fit, two_classes):
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(logs)
    )
    history = fit(new_model(), *two_classes, callbacks=[callback]).history
    assert len(seen) == 2
    assert set(seen[-1]) == set(history) and "layer_2/negative_goodness" in history
    assert {name: float(value) for name, value in seen[-1].items()} == pytest.approx(
        {name: values[-1] for name, values in history.items()}
    )
