"""Metrics of `compile`: by name, by object, weighted, and reset every epoch."""

import keras
import numpy as np
import pytest

from tests.helpers import mostly_slow


class Samples(keras.metrics.Metric):
    """Counts the samples it was shown."""

    def __init__(self, name="samples", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(keras.ops.cast(keras.ops.shape(y_true)[0], "float32"))

    def result(self):
        return self.count + 0.0


def right(model, x, y, best=1):
    """Which samples have their class among the `best` scores, as ones and zeros."""
    scores = model.predict(x, verbose=0)
    return np.any(np.argsort(-scores, axis=1)[:, :best] == y[:, None], axis=1).astype(float)


@mostly_slow("name", ["accuracy", "acc", "sparse_categorical_accuracy"], quick=(0,))
def test_by_name(name, new_model, three_classes):
    model = new_model(3, metrics=[name])
    logs = model.evaluate(*three_classes, batch_size=7, verbose=0, return_dict=True)
    expected = right(model, *three_classes).mean()
    assert 0.0 < expected < 1.0
    assert logs[name] == pytest.approx(expected)


@mostly_slow("name", ["accuracy", "categorical_accuracy"], quick=(1,))
def test_by_name_with_one_hot_labels(name, new_model, three_classes):
    x, y = three_classes
    model = new_model(3, metrics=[name])
    logs = model.evaluate(x, np.eye(3)[y], verbose=0, return_dict=True)
    assert logs[name] == pytest.approx(right(model, x, y).mean())


@pytest.mark.slow
def test_accuracy_with_labels_in_a_column(new_model, three_classes):
    x, y = three_classes
    model = new_model(3, metrics=["accuracy"])
    logs = model.evaluate(x, y[:, None], verbose=0, return_dict=True)
    assert logs["accuracy"] == pytest.approx(right(model, x, y).mean())


@pytest.mark.slow
def test_by_object(new_model, three_classes):
    metrics = [
        keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="among_two"),
        keras.metrics.SparseCategoricalCrossentropy(name="entropy"),
    ]
    model = new_model(3, metrics=metrics)
    x, y = three_classes
    logs = model.evaluate(x, y, batch_size=7, verbose=0, return_dict=True)
    assert logs["among_two"] == pytest.approx(right(model, x, y, best=2).mean())
    scores = model.predict(x, verbose=0).astype("float64")
    entropy = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(30), y]
    assert logs["entropy"] == pytest.approx(entropy.mean(), rel=1e-5)


@pytest.mark.slow
def test_by_function(new_model, three_classes):
    def highest(y_true, y_pred):
        return keras.ops.max(y_pred, axis=1)

    model = new_model(3, metrics=[highest])
    logs = model.evaluate(*three_classes, batch_size=7, verbose=0, return_dict=True)
    highest_share = model.predict_proba(three_classes[0], verbose=0).max(axis=1)
    assert logs["highest"] == pytest.approx(highest_share.mean(), rel=1e-5)


def test_metrics_are_listed(new_model, two_classes):
    model = new_model(metrics=["accuracy"])
    model.evaluate(*two_classes, verbose=0)
    names = [metric.name for metric in model.metrics]
    assert names == ["loss", "compile_metrics", "layer_1", "layer_2", "temperature_fit"]
    first = model.metrics[2].result()
    names = [*model.ff_layers[0].metric_names, "pairs_told_apart"]
    assert list(first) == [f"layer_1/{name}" for name in names]


@pytest.mark.slow
def test_a_former_name_is_logged_for_one_release_more(new_model, fit, two_classes):
    history = fit(new_model(), *two_classes, epochs=2, validation_data=two_classes).history
    for layer in ("layer_1", "layer_2", "val_layer_1", "val_layer_2"):
        assert history[f"{layer}/pairs_told_apart"] == history[f"{layer}/pair_accuracy"]
    assert history["layer_1/pair_accuracy"][-1] > 0


@pytest.mark.slow
def test_weighted_metrics(new_model, three_classes):
    x, y = three_classes
    weight = np.linspace(0.0, 2.0, 30)
    model = new_model(3, metrics=["accuracy"], weighted_metrics=["sparse_categorical_accuracy"])
    logs = model.evaluate(x, y, 7, 0, sample_weight=weight, return_dict=True)
    hits = right(model, x, y)
    assert logs["accuracy"] == pytest.approx(hits.mean())
    weighted = np.sum(weight * hits) / weight.sum()
    assert logs["sparse_categorical_accuracy"] == pytest.approx(weighted, rel=1e-5)
    assert abs(weighted - hits.mean()) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("readout", ["goodness", "softmax"])
def test_weighted_metrics_in_training(readout, new_model, three_classes):
    x, y = three_classes
    weight = np.linspace(0.1, 2.0, 30)
    model = new_model(
        3,
        weighted_metrics=["accuracy"],
        optimizer=keras.optimizers.SGD(0.0),
        model={"readout": readout},
    )
    if readout == "softmax":
        model.readout.head.kernel.assign(np.random.default_rng(0).normal(size=(16, 3)))
    hits = right(model, x, y)
    logs = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
    # Where scoring takes a pass a class, the first third of the samples stands for all.
    share = slice(0, 10 if readout == "goodness" else 30)
    expected = np.sum(weight[share] * hits[share]) / weight[share].sum()
    assert 0.0 < expected < 1.0
    assert logs["accuracy"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("readout, shown", [("goodness", 7 + 4), ("softmax", 30)])
def test_metrics_are_reset_every_epoch(readout, shown, new_model, fit, three_classes):
    model = new_model(3, metrics=[Samples()], model={"readout": readout})
    history = fit(model, *three_classes, epochs=2, validation_data=three_classes).history
    # Batches of 20 and 10; one in three samples is scored where that takes three passes.
    assert history["samples"] == [shown] * 2
    assert history["val_samples"] == [30] * 2


@pytest.mark.slow
def test_layer_metrics_are_reset_every_epoch(new_model, fit, two_classes):
    class Silence(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                for layer in self.model.ff_layers:
                    layer.transform.kernel.assign(np.zeros(layer.transform.kernel.shape))

    model = new_model(optimizer=keras.optimizers.SGD(0.0))
    history = fit(model, *two_classes, epochs=2, callbacks=[Silence()]).history
    assert history["layer_1/positive_goodness"][0] > 0.1
    assert history["layer_1/positive_goodness"][1] == 0.0
    assert history["layer_2/pair_accuracy"][1] == 0.0
    assert history["layer_1/loss"][1] == pytest.approx(np.log(2.0))
    assert history["loss"][1] == pytest.approx(2 * np.log(2.0))


@pytest.mark.slow
def test_learning_shows_in_the_metrics(new_model, fit, two_classes):
    model = new_model(metrics=["accuracy"])
    history = fit(model, *two_classes, epochs=5).history
    for number in (1, 2):
        told_apart = history[f"layer_{number}/pair_accuracy"]
        assert told_apart[-1] > 0.9 and 0.0 <= min(told_apart) <= max(told_apart) <= 1.0
        positive = history[f"layer_{number}/positive_goodness"][-1]
        assert positive > 1.2 * history[f"layer_{number}/negative_goodness"][-1]
    assert history["accuracy"][-1] > 0.9
