"""Models some of whose units belong to no class, and learn by auxiliary terms alone."""

import keras
import numpy as np
import pytest
import sklearn.datasets
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff.goodness import ClassGroups
from keras_ff.layers import FFConv2D, FFDense, FFLayer, FFResidual
from keras_ff.losses import SupCon
from tests.helpers import activities_of, drawn

CLASSES = 4


def grouped(free=0, **settings):
    """Settings of a layer of class groups; with an auxiliary term where units are free."""
    auxiliary = {"auxiliary": SupCon(units=None)} if free else {}
    common = {"activation": "relu", "normalization": "class_groups", **auxiliary}
    return {"goodness": ClassGroups(free=free), **common, **settings}


def model_of(layers, **settings):
    one_stream = {"label_embedding": None, "negatives": None, "layer_schedule": "simultaneous"}
    return keras_ff.FFModel(layers, CLASSES, **one_stream, **settings)


def data(samples=32, shape=(8, 8, 1)):
    return drawn(samples, *shape), np.arange(samples) % CLASSES


def test_the_next_layer_standardises_free_units_by_themselves():
    layers = [
        FFConv2D(10, **grouped(0.5)),
        keras.layers.AveragePooling2D(2),
        FFConv2D(8, **grouped("all")),
        FFConv2D(9, **grouped(5)),
        FFDense(8, **grouped()),
        FFDense(8, **grouped()),
    ]
    model = model_of(layers)
    model.build((None, 8, 8, 1))
    assert [layer.free_units for layer in model.ff_layers] == [6, 8, 5, 0, 0]
    # Flattened, channels are not side by side any more.
    assert [layer.normalization.free for layer in model.ff_layers] == [0, 6, 8, 0, 0]
    flat = model_of([FFConv2D(8, **grouped("all")), FFDense(8, **grouped())])
    flat.build((None, 4, 4, 1))
    assert flat.ff_layers[1].normalization.free == 4 * 4 * 8


def test_what_the_next_layer_takes_does_not_show_which_class_won():
    layers = [FFDense(20, **grouped(12)), FFDense(8, **grouped())]
    model = model_of(layers)
    model.build((None, 6))
    activities, _ = activities_of(model, drawn(16, 6))
    taken = convert_to_numpy(model.ff_layers[1].normalization(activities))
    np.testing.assert_allclose(ClassGroups()(taken[:, :8], CLASSES), 0.0, atol=1e-3)
    assert np.ptp(convert_to_numpy(model.ff_layers[0].compute_goodness(activities))) > 1


def test_free_units_learn_by_the_auxiliary_term_alone():
    """Without its weight they stay; the units of class groups move as they would without others."""
    ends = []
    for free, filters in ((6, 14), (0, 8)):
        auxiliary = {"auxiliary": SupCon(units=None, weight=1e-30)} if free else {}
        settings = grouped(free, **auxiliary, normalization="length", use_bias=False)
        layer = FFDense(filters, **settings, loss="sparse_categorical_crossentropy")
        layer.num_classes = CLASSES
        layer.set_objective(layer.own_loss, keras.optimizers.SGD(0.1))
        layer.build((None, 6))
        start = drawn(6, 14)[:, :filters]
        layer.kernel.assign(start)
        batch = keras_ff.layers.Batch(drawn(8, 6), streams=1, labels=np.arange(8) % CLASSES)
        layer.train_step(batch)
        ends.append(convert_to_numpy(layer.kernel) - start)
    np.testing.assert_allclose(ends[0][:, :8], ends[1], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(ends[0][:, 8:], 0.0, atol=1e-7)
    assert np.abs(ends[1]).max() > 1e-3


def test_a_layer_without_class_goodness_learns_and_does_not_score():
    layer = FFDense(6, **grouped("all"), loss="sparse_categorical_crossentropy")
    layer.num_classes = CLASSES
    layer.set_objective(layer.own_loss, keras.optimizers.SGD(0.1))
    layer.build((None, 6))
    before = convert_to_numpy(layer.kernel)
    x, labels = drawn(8, 6), np.arange(8) % CLASSES
    metrics, _ = layer.train_step(keras_ff.layers.Batch(x, streams=1, labels=labels))
    term = SupCon(units=None)
    term.build((None, 6))
    expected = term(np.maximum(layer.normalization(x) @ before, 0.0), labels)
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-4)
    assert np.isnan(metrics["accuracy"]).all() and np.isnan(metrics["goodness"]).all()
    np.testing.assert_array_equal(metrics["class_goodness"], np.zeros((8, CLASSES)))
    assert np.abs(convert_to_numpy(layer.kernel) - before).max() > 1e-4


def test_scores_are_those_of_the_layers_with_class_groups():
    model = model_of([FFDense(6, **grouped("all")), FFDense(8, **grouped())])
    x, _ = data(shape=(6,))
    model.build(x.shape)
    goodness = model.stack.goodness(activities_of(model, x))
    np.testing.assert_array_equal(goodness[0], np.zeros((32, CLASSES)))
    np.testing.assert_allclose(model(x), goodness[1], rtol=1e-6)
    assert np.ptp(convert_to_numpy(goodness[1])) > 0.1


@pytest.mark.parametrize(
    ("layers", "settings", "match"),
    [
        (lambda: [FFDense(8, **grouped(4, auxiliary=None))], {}, "auxiliary terms alone.*'ff_"),
        (lambda: [FFDense(8, **grouped("all"))], {}, "no class goodness.*softmax"),
        (
            lambda: [FFDense(8, **grouped("all")), FFDense(8, **grouped())],
            {"readout": keras_ff.readouts.Goodness(layers=[0])},
            "no class goodness",
        ),
    ],
)
def test_refusals(layers, settings, match):
    with pytest.raises(ValueError, match=rf"(?s){match}.*Received|{match}"):
        model_of(layers(), **settings)


def test_free_units_and_skip_connections():
    def residual():
        return FFResidual(keras.layers.Dense(12), **grouped())

    with pytest.raises(ValueError, match=r"residual layer.*free=4"):
        FFResidual(keras.layers.Dense(12), **grouped(4))
    mixed = model_of([FFDense(12, **grouped(4)), residual()])
    with pytest.raises(ValueError, match="4 free units of 12"):
        mixed.build((None, 6))
    model_of([FFDense(12, **grouped("all")), residual()]).build((None, 6))


def test_all_units_may_be_free_under_a_softmax_readout():
    model = model_of([FFDense(8, **grouped("all"))], readout="softmax")
    model.build((None, 6))
    assert tuple(model(drawn(5, 6)).shape) == (5, CLASSES)


@pytest.mark.slow
def test_saved_loaded_and_rebuilt(tmp_path):
    x, y = data()
    layers = [FFConv2D(6, **grouped("all")), FFConv2D(11, **grouped(0.6)), FFConv2D(8, **grouped())]
    model = model_of(layers)
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    history = model.fit(x, y, validation_data=(x, y), epochs=2, verbose=0).history
    assert np.isnan(history["layer_1/accuracy"]).all() and np.isfinite(history["loss"]).all()
    assert np.isfinite(history["layer_2/accuracy"]).all()
    alone = keras_ff.measurements.measure(model, x, y).accuracy_alone()
    assert np.isnan(alone[0]) and np.isfinite(alone[1:]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert [layer.normalization.free for layer in loaded.ff_layers] == [0, 6, 7]
    # (1 − 0.6) · 11 / 2 = 2 units a class.
    other = loaded.rebuild(num_classes=2)
    assert [layer.free_units for layer in other.ff_layers] == [6, 7, 0]
    assert [layer.normalization.free for layer in other.ff_layers] == [0, 6, 7]
    other.fit(x, y % 2, verbose=0)
    network = model.to_backprop()
    network.compile("sgd", "sparse_categorical_crossentropy")
    network.fit(x, y, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["greedy", "simultaneous"])
def test_digits_are_learned_behind_a_free_layer(schedule):
    digits = sklearn.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    x, y = digits.images[order, ..., None].astype("float32") / 16, digits.target[order]
    keras.utils.set_random_seed(1)
    layers = [
        FFDense(60, **grouped("all")),
        FFDense(100, **grouped(0.5)),
        FFDense(100, **grouped()),
    ]
    one_stream = {"label_embedding": None, "negatives": None, "layer_schedule": schedule}
    model = keras_ff.FFModel(layers, 10, **one_stream)
    model.compile(keras.optimizers.Adam(0.005), metrics=["accuracy"])
    model.fit(x[:1400], y[:1400], batch_size=50, epochs=9, verbose=0)
    assert model.evaluate(x[1400:], y[1400:], verbose=0, return_dict=True)["accuracy"] > 0.9


def test_a_plain_layer_may_be_free():
    layer = FFLayer(keras.layers.Conv2D(5, 3), goodness=ClassGroups(free=1), normalization=None)
    layer.num_classes = CLASSES
    layer.build((None, 6, 6, 1))
    assert layer.free_units == 1
    assert tuple(layer.compute_goodness(drawn(2, 4, 4, 5)).shape) == (2, CLASSES)
