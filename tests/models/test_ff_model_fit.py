"""`fit`: the data it takes, labels, weights, validation, and the arguments that divide epochs."""

import keras
import numpy as np
import pytest

import keras_ff
from tests.helpers import mostly_slow

# By how much a compiled step may differ from an eager one.
ROUNDING = 1e-6


def farthest(first, second):
    """The largest change of a number in each array, and of these the smallest."""
    return min(np.abs(one - other).max() for one, other in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def reference(new_model, fit, two_classes, values):
    """All variables after two epochs on numpy arrays, which every other source must reach."""
    model = new_model(run_eagerly=False)
    start = values(model.trainable_variables)
    fit(model, *two_classes, epochs=2)
    assert farthest(start, values(model.trainable_variables)) > 1e-3
    return values(model)


@pytest.fixture(scope="module")
def weights_of_samples():
    """Weights of the 30 samples: 0, ½, 1 and 2."""
    return np.random.default_rng(6).choice([0.0, 0.5, 1.0, 2.0], 30).astype("float32")


@pytest.fixture(scope="module")
def weighted(new_model, fit, two_classes, weights_of_samples, values, reference):
    """All variables after two epochs on numpy arrays with sample weights."""
    model = new_model(run_eagerly=False)
    fit(model, *two_classes, sample_weight=weights_of_samples, epochs=2)
    assert farthest(values(model)[1:5], reference[1:5]) > 1e-3  # kernels and biases
    return values(model)


# --- sources of data --------------------------------------------------------------------


def test_numpy_arrays(digits):
    (x, y), (test_x, test_y) = digits
    keras.utils.set_random_seed(1)
    model = keras_ff.FFModel(
        [keras_ff.layers.FFDense(64) for _ in range(2)], 10, layer_schedule="simultaneous"
    )
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    history = model.fit(x, y, batch_size=50, epochs=6, verbose=0)
    accuracy = np.mean(np.argmax(model.predict(test_x, verbose=0), axis=1) == test_y)
    assert accuracy > 0.8
    assert history.history["loss"][-1] < 0.6 * history.history["loss"][0]
    assert history.history["accuracy"][-1] > 0.8 > 0.6 > history.history["accuracy"][0]


@pytest.mark.slow
def test_tf_data_of_x_y(new_model, fit, two_classes, tf_dataset, values, same, reference):
    model = new_model()
    fit(model, tf_dataset(*two_classes), batch_size=None, epochs=2)
    same(values(model), reference, ROUNDING)


@pytest.mark.slow
def test_tf_data_of_x_y_sample_weight(
    new_model, fit, two_classes, weights_of_samples, tf_dataset, values, same, weighted
):
    model = new_model()
    fit(model, tf_dataset(*two_classes, weights_of_samples), batch_size=None, epochs=2)
    same(values(model), weighted, ROUNDING)


@pytest.mark.slow
def test_py_dataset(new_model, fit, two_classes, py_dataset, values, same, reference):
    model = new_model()
    fit(model, py_dataset(*two_classes), batch_size=None, epochs=2)
    same(values(model), reference, ROUNDING)


@pytest.mark.slow
@pytest.mark.parametrize("built", [True, False])
def test_py_dataset_with_workers(
    built, new_model, fit, two_classes, weights_of_samples, py_dataset, values, same, weighted
):
    model = new_model(built=built)
    dataset = py_dataset(
        *two_classes, weights_of_samples, workers=2, use_multiprocessing=False, max_queue_size=4
    )
    fit(model, dataset, batch_size=None, epochs=2)
    same(values(model), weighted, ROUNDING)


@pytest.mark.slow
def test_py_dataset_is_told_of_epochs(new_model, fit, two_classes, py_dataset):
    class Counting(py_dataset):
        begun = ended = 0

        def on_epoch_begin(self):
            self.begun += 1

        def on_epoch_end(self):
            self.ended += 1

    dataset = Counting(*two_classes)
    fit(new_model(), dataset, batch_size=None, epochs=2)
    assert dataset.begun == 2
    assert dataset.ended >= 2  # Keras calls it once more when it looks at the data


@pytest.mark.slow
def test_generator(new_model, fit, two_classes, generator, values, same, reference):
    model = new_model()
    fit(model, generator(*two_classes), batch_size=None, epochs=2, steps_per_epoch=2)
    same(values(model), reference, ROUNDING)


@pytest.mark.slow
def test_generator_with_sample_weight(
    new_model, fit, two_classes, weights_of_samples, generator, values, same, weighted
):
    model = new_model()
    batches = generator(*two_classes, weights_of_samples)
    fit(model, batches, batch_size=None, epochs=2, steps_per_epoch=2)
    same(values(model), weighted, ROUNDING)


@pytest.mark.slow
def test_tensors(new_model, fit, two_classes, values, same, reference):
    model = new_model()
    fit(model, *map(keras.ops.convert_to_tensor, two_classes), epochs=2)
    same(values(model), reference, ROUNDING)


# --- labels and classes -----------------------------------------------------------------


@pytest.mark.slow
def test_one_hot_labels(new_model, fit, two_classes, values, same, reference):
    x, y = two_classes
    model = new_model()
    fit(model, x, np.eye(2, dtype="float32")[y], epochs=2)
    same(values(model), reference, ROUNDING)


@pytest.mark.slow
def test_integer_labels_in_a_column(new_model, fit, two_classes, values, same, reference):
    x, y = two_classes
    model = new_model()
    fit(model, x, y[:, None].astype("int64"), epochs=2)
    same(values(model), reference, ROUNDING)


@pytest.mark.slow
def test_two_classes(new_model, fit, two_classes):
    model = new_model(metrics=["accuracy"], run_eagerly=False)
    fit(model, *two_classes, epochs=15)
    assert model.predict(two_classes[0], verbose=0).shape == (30, 2)
    assert model.evaluate(*two_classes, verbose=0, return_dict=True)["accuracy"] > 0.9


@pytest.mark.slow
def test_a_hundred_classes():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(100, 20))
    y = np.arange(400) % 100
    x = (centers[y] + 0.1 * rng.normal(size=(400, 20))).astype("float32")
    keras.utils.set_random_seed(1)
    model = keras_ff.FFModel([keras_ff.layers.FFDense(100)], num_classes=100)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(x, y, batch_size=50, epochs=30, verbose=0)
    scores = model.predict(x[:100], verbose=0)
    assert scores.shape == (100, 100)
    assert np.mean(np.argmax(scores, axis=1) == y[:100]) > 0.3  # by chance 0.01


# --- validation -------------------------------------------------------------------------


def learned(model):
    """All weights but the temperature, which validation data choose."""
    return [weight for weight in model.weights if weight is not model.readout.temperature]


@pytest.mark.slow
def test_validation_split(new_model, fit, two_classes, values, same):
    x, y = two_classes
    model, whole = new_model(metrics=["accuracy"]), new_model(metrics=["accuracy"])
    history = fit(model, x, y, epochs=2, validation_split=0.2).history
    fit(whole, x[:24], y[:24], epochs=2)
    same(values(learned(model)), values(learned(whole)))
    expected = model.evaluate(x[24:], y[24:], batch_size=20, verbose=0, return_dict=True)
    assert {f"val_{name}" for name in expected} == {name for name in history if "val_" in name}
    for name, value in expected.items():
        assert history[f"val_{name}"][-1] == pytest.approx(value, abs=1e-6), name


@pytest.mark.slow
@pytest.mark.parametrize("source", ["arrays", "tf.data", "PyDataset", "generator"])
def test_validation_data(source, new_model, fit, two_classes, tf_dataset, py_dataset, generator):
    x, y = two_classes
    part = (x[:25], y[:25], np.linspace(0.0, 2.0, 25, dtype="float32"))
    data = {
        "arrays": lambda: part,
        "tf.data": lambda: tf_dataset(*part),
        "PyDataset": lambda: py_dataset(*part),
        "generator": lambda: generator(*part),
    }[source]()
    model = new_model(weighted_metrics=["accuracy"])
    history = fit(model, x, y, epochs=2, validation_data=data, validation_steps=2).history
    expected = model.evaluate(*part[:2], 20, 0, sample_weight=part[2], return_dict=True)
    for name, value in expected.items():
        assert len(history[f"val_{name}"]) == 2
        assert history[f"val_{name}"][-1] == pytest.approx(value, abs=1e-6), name


@pytest.mark.slow
@mostly_slow("frequency, times", [(2, 2), ([1, 5], 2), (3, 1)], quick=(0,))
def test_validation_freq(frequency, times, new_model, fit, two_classes):
    x, y = two_classes
    history = fit(
        new_model(units=(4,)),
        x[:12],
        y[:12],
        epochs=5,
        validation_data=two_classes,
        validation_freq=frequency,
    ).history
    assert len(history["loss"]) == 5
    assert len(history["val_loss"]) == times
    assert len(history["val_layer_1/loss"]) == times


@pytest.mark.slow
def test_validation_leaves_training_untouched(new_model, fit, three_classes, values, same):
    def trained(**arguments):
        model = new_model(3, layer={"dropout": 0.3})
        fit(model, *three_classes, epochs=2, **arguments)
        return values(learned(model))

    same(trained(), trained(validation_data=three_classes))


@pytest.mark.slow
def test_validation_is_repeatable(new_model, fit, three_classes):
    model = new_model(3, optimizer=keras.optimizers.SGD(0.0), layer={"dropout": 0.3})
    history = fit(model, *three_classes, epochs=2, validation_data=three_classes).history
    # Nothing is learned at a rate of zero: only new negatives and dropout change the loss.
    assert len(set(history["loss"])) == 2
    assert len(set(history["val_loss"])) == 1


# --- sample weights and class weights ---------------------------------------------------


def test_sample_weight_weighs_the_loss(new_model, two_classes, weights_of_samples, losses_by_hand):
    x, y = two_classes
    model = new_model()
    by_sample = losses_by_hand(model, x, y, 1 - y)
    logs = model.train_on_batch(x, y, sample_weight=weights_of_samples, return_dict=True)
    expected = np.mean(weights_of_samples * by_sample, axis=1)
    assert logs["layer_1/loss"] == pytest.approx(expected[0], rel=1e-5)
    assert logs["layer_2/loss"] == pytest.approx(expected[1], rel=1e-5)
    assert logs["loss"] == pytest.approx(expected.sum(), rel=1e-5)
    assert abs(expected.sum() - by_sample.mean(axis=1).sum()) > 0.01


@pytest.mark.slow
@mostly_slow("readout", ["goodness", "softmax"], quick=(0,))
def test_sample_weight_of_zero_for_all_leaves_the_weights(
    readout, new_model, fit, two_classes, values, same
):
    model = new_model(optimizer="adam", model={"readout": readout})
    start = values(model.trainable_variables)
    history = fit(model, *two_classes, sample_weight=np.zeros(30), epochs=2)
    same(values(model.trainable_variables), start)
    assert history.history["loss"] == [0.0, 0.0]


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["goodness", "softmax"])
def test_sample_weight_of_zero_makes_a_sample_count_for_nothing(
    readout, new_model, fit, two_classes, values, same
):
    x, y = two_classes
    ignored = np.arange(30) % 3 == 0
    other_x, other_y = x.copy(), y.copy()
    other_x[ignored] = np.random.default_rng(1).normal(size=other_x[ignored].shape)
    other_y[ignored] = 1 - y[ignored]

    arguments = {"readout": readout}

    def trained(x, y):
        model = new_model(model=arguments)
        fit(model, x, y, sample_weight=1.0 - ignored, epochs=2)
        return values(model.trainable_variables)

    weights = trained(x, y)
    same(weights, trained(other_x, other_y))
    assert farthest(weights, values(new_model(model=arguments).trainable_variables)) > 1e-3


@pytest.mark.slow
@mostly_slow("one_hot", [False, True], quick=(0,))
def test_class_weight(one_hot, new_model, fit, two_classes, values, same, reference):
    x, y = two_classes
    model, by_sample = new_model(), new_model()
    labels = np.eye(2)[y] if one_hot else y
    fit(model, x, labels, class_weight={0: 0.25, 1: 3.0}, epochs=2)
    fit(by_sample, x, y, sample_weight=np.array([0.25, 3.0])[y], epochs=2)
    same(values(model), values(by_sample))
    assert farthest(values(model)[1:5], reference[1:5]) > 1e-3  # kernels and biases


@pytest.mark.slow
def test_class_weight_with_a_stream(
    new_model, fit, two_classes, tf_dataset, values, same, reference
):
    model, arrays = new_model(), new_model()
    fit(model, tf_dataset(*two_classes), batch_size=None, class_weight={0: 0.25, 1: 3.0}, epochs=2)
    fit(arrays, *two_classes, class_weight={0: 0.25, 1: 3.0}, epochs=2)
    same(values(model), values(arrays))


@pytest.mark.slow
def test_class_weight_of_zero_is_training_without_the_class(
    new_model, fit, two_classes, values, same
):
    x, y = two_classes
    one, other = np.flatnonzero(y == 0)[:8], np.flatnonzero(y == 1)[:8]
    both = np.concatenate([one, other])
    model = new_model()
    # The mean is over all samples of a batch, half of which are of class 0.
    half_rate = new_model(optimizer=keras.optimizers.SGD(0.05))
    fit(model, x[both], y[both], class_weight={0: 1.0, 1: 0.0}, batch_size=16, epochs=3)
    fit(half_rate, x[one], y[one], batch_size=8, epochs=3)
    same(values(model.trainable_variables), values(half_rate.trainable_variables), atol=1e-6)


# --- epochs and steps -------------------------------------------------------------------


@pytest.mark.slow
def test_steps_per_epoch_with_a_repeated_dataset(
    new_model, fit, two_classes, tf_dataset, values, same, reference
):
    model = new_model()
    dataset = tf_dataset(*two_classes).repeat()
    history = fit(model, dataset, batch_size=None, epochs=4, steps_per_epoch=1)
    assert len(history.history["loss"]) == 4
    assert int(model.optimizer.iterations) == 4
    same(values(model), reference, ROUNDING)  # four batches in all, as in two epochs of two


@pytest.mark.slow
def test_initial_epoch_goes_on_with_the_layer_schedule(new_model, fit, two_classes, values, same):
    model = new_model(model={"layer_schedule": "greedy"})
    first, second = (layer.trainable_variables for layer in model.ff_layers)
    start = values(first), values(second)
    history = fit(model, *two_classes, epochs=4, initial_epoch=2)
    assert history.epoch == [2, 3]
    assert len(history.history["loss"]) == 2
    same(values(first), start[0])
    assert farthest(values(second), start[1]) > 1e-3


@pytest.mark.slow
def test_fit_in_two_parts_is_fit_in_one(new_model, fit, three_classes, values, same):
    def arguments():
        return {"model": {"layer_schedule": "greedy"}, "layer": {"dropout": 0.2}}

    whole, parts = new_model(3, **arguments()), new_model(3, **arguments())
    fit(whole, *three_classes, epochs=4)
    fit(parts, *three_classes, epochs=3)
    # Three epochs give layer 1 two of them, as four do.
    fit(parts, *three_classes, epochs=4, initial_epoch=3)
    same(values(whole), values(parts))


def test_no_epochs(new_model, fit, two_classes, values, same):
    model = new_model()
    start = values(model)
    assert fit(model, *two_classes, epochs=0).history == {}
    same(values(model), start)


# --- what is printed and returned -------------------------------------------------------


@pytest.mark.slow
def test_verbose_0_prints_nothing(new_model, fit, two_classes, capsys):
    model = new_model(metrics=["accuracy"])
    fit(model, *two_classes, verbose=0, validation_data=two_classes)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.parametrize("verbose", [1, "auto"])
def test_verbose_1_shows_a_bar_with_few_metrics(verbose, new_model, fit, two_classes, capsys):
    model = new_model(metrics=["accuracy"])
    fit(model, *two_classes, verbose=verbose, epochs=2, validation_data=two_classes)
    printed = capsys.readouterr().out
    assert "Epoch 2/2" in printed and "2/2\x1b" in printed and "━━" in printed
    for name in ("accuracy", "loss", "val_accuracy", "val_loss"):
        assert f" {name}: " in printed
    assert "layer_" not in printed and "goodness" not in printed


@pytest.mark.slow
def test_verbose_2_prints_a_line_an_epoch(new_model, fit, two_classes, capsys):
    model = new_model(metrics=["accuracy"])
    history = fit(model, *two_classes, verbose=2, epochs=2, validation_data=two_classes).history
    lines = capsys.readouterr().out.strip().split("\n")
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    metrics = [line for line in lines if line.startswith("2/2")]
    assert len(metrics) == 2 and "━" not in "".join(lines)
    assert f" - loss: {history['loss'][1]:.4f}" in metrics[1]
    assert f" - val_loss: {history['val_loss'][1]:.4f}" in metrics[1]
    assert "layer_" not in "".join(lines)


@pytest.mark.slow
def test_history(new_model, fit, two_classes, losses_by_hand):
    x, y = two_classes
    model = new_model(metrics=["accuracy"], optimizer=keras.optimizers.SGD(0.0))
    history = fit(model, x, y, epochs=2)
    assert history is model.history and history.epoch == [0, 1]
    layer_figures = {"loss", "positive_goodness", "negative_goodness", "pair_accuracy"}
    layer_figures |= {"pairs_told_apart"}  # a former name, for one release more
    assert set(history.history) == {"loss", "accuracy"} | {
        f"layer_{number}/{name}" for number in (1, 2) for name in layer_figures
    }
    # Nothing moves at a learning rate of zero: epochs are alike, and what can be worked out.
    losses = losses_by_hand(model, x, y, 1 - y)
    for number in (1, 2):
        expected = losses[number - 1].mean()
        assert history.history[f"layer_{number}/loss"] == pytest.approx([expected] * 2, rel=1e-5)
        told_apart = np.mean(losses[number - 1] < np.log(2.0))
        assert history.history[f"layer_{number}/pair_accuracy"][0] == pytest.approx(told_apart)
    assert history.history["loss"] == pytest.approx([losses.sum(axis=0).mean()] * 2, rel=1e-5)
    assert model.predict(x, verbose=0).sum(axis=1).mean() == pytest.approx(
        sum(
            history.history[f"layer_{number}/{name}"][0]
            for number in (1, 2)
            for name in ("positive_goodness", "negative_goodness")
        ),
        rel=1e-5,
    )


@pytest.mark.slow
def test_history_of_greedy_is_nan_for_layers_not_reached(new_model, fit, two_classes):
    model = new_model(units=(8, 8, 8), model={"layer_schedule": "greedy"})
    history = fit(model, *two_classes, epochs=3, validation_data=two_classes).history
    for prefix in ("", "val_"):
        for name in ("loss", "positive_goodness", "negative_goodness", "pair_accuracy"):
            reached = [
                np.isfinite(history[f"{prefix}layer_{number}/{name}"]).tolist()
                for number in (1, 2, 3)
            ]
            assert reached == [[True] * 3, [False, True, True], [False, False, True]]
    # In the last epoch all layers have been reached, and the loss is their sum.
    for prefix in ("", "val_"):
        losses = [history[f"{prefix}layer_{number}/loss"][-1] for number in (1, 2, 3)]
        assert history[f"{prefix}loss"][-1] == pytest.approx(sum(losses), rel=1e-6)
        assert history[f"{prefix}loss"][0] > history[f"{prefix}layer_1/loss"][0] + 1.0
