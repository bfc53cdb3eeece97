"""Greedy training that keeps what frozen layers answer ends as one that computes it anew."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_ff
from keras_ff.fast import activation_cache
from keras_ff.layer_schedules import Greedy
from keras_ff.layers import FFConv2D, FFDense, FFLayer

pytestmark = pytest.mark.not_under("jax", "it would copy what is kept into the compiled step")

SAMPLES = 50


def samples(seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(SAMPLES) % 3
    x = rng.normal(size=(SAMPLES, 4, 4, 1)) + y[:, None, None, None]
    return x.astype("float32"), y


@keras.saving.register_keras_serializable("tests")
class WithPenalty(keras.layers.Dense):
    """Adds a loss whenever it is called, as `activity_regularizer` would."""

    def call(self, inputs):
        outputs = super().call(inputs)
        self.add_loss(0.01 * keras.ops.mean(keras.ops.square(outputs)))
        return outputs


def dense(**settings):
    layers = [
        FFDense(12, kernel_regularizer=keras.regularizers.L2(1e-3), dropout=0.1),
        FFDense(9),
        FFDense(7),
    ]
    return {"layers": layers, "negatives": keras_ff.negatives.RandomLabels(2, seed=3), **settings}


def class_groups():
    layers = [
        FFConv2D(6, goodness="class_groups", normalization="batch"),
        FFDense(6, goodness="class_groups"),
    ]
    return {"layers": layers, "label_embedding": None, "negatives": None}


def between():
    layers = [FFConv2D(3), keras.layers.MaxPooling2D(2), FFConv2D(4), FFDense(6)]
    return {"layers": layers, "label_embedding": "spatial_pattern"}


KINDS = {
    "dense": dense,
    "fixed labels": lambda: dense(negatives="fixed_labels"),
    "hard labels": lambda: dense(negatives="hard_labels", readout="softmax"),
    "class groups": class_groups,
    "label map": lambda: {
        "layers": [FFConv2D(3), FFDense(5), FFDense(4)],
        "label_embedding": "label_map",
    },
    "layers between": between,
    "penalties": lambda: dense(
        layers=[FFDense(9, activity_regularizer="l2") for _ in range(2)], negatives="fixed_labels"
    ),
    "penalties of a transform's own": lambda: dense(
        layers=[FFLayer(WithPenalty(9), "relu") for _ in range(3)], negatives="fixed_labels"
    ),
}


def trained(kind, cache, eager=True, **fitted):
    keras.utils.set_random_seed(5)
    model = keras_ff.FFModel(num_classes=3, layer_schedule=Greedy(cache=cache), **KINDS[kind]())
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"], run_eagerly=eager)
    x, y = samples()
    fitted = {"epochs": 3, "batch_size": 16, "validation_split": 0.2, **fitted}
    history = model.fit(x, y, verbose=0, sample_weight=1.0 + y, **fitted).history
    return model, history


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_weights_and_metrics(kind):
    eager = kind not in ("dense", "penalties of a transform's own")
    kept, history = trained(kind, True, eager)
    plain, expected = trained(kind, False, eager)
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    for one, other in zip(kept.variables, plain.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_averages_that_are_swapped_in_between_epochs_are_not_what_layers_learn_on():
    histories = []
    for cache in (True, False):
        keras.utils.set_random_seed(5)
        model = keras_ff.FFModel(
            [FFDense(9), FFDense(7)],
            3,
            negatives="fixed_labels",
            layer_schedule=Greedy(cache=cache),
        )
        model.compile(keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9))
        swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
        fitted = model.fit(*samples(), epochs=4, verbose=0, shuffle=False, callbacks=[swap])
        histories.append(fitted.history["layer_2/loss"])
    np.testing.assert_allclose(*histories, rtol=1e-4)


@pytest.mark.slow
def test_many_samples_are_taken_in_blocks(monkeypatch):
    """The last of which overlaps the one before it, so that all are of one size."""
    expected, _ = trained("dense", True)
    monkeypatch.setattr(activation_cache, "ROWS_AT_ONCE", 30)  # of 50 samples
    found, _ = trained("dense", True)
    for one, other in zip(found.variables, expected.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_frozen_layers_are_not_computed_in_steps(monkeypatch):
    """Their variables are not even read by the compiled step of the layer that learns."""
    looked_up = []
    look_up = activation_cache.ActivationCache.look_up

    def recorded(self, batch, rows):
        looked_up.append(self.index)
        return look_up(self, batch, rows)

    monkeypatch.setattr(activation_cache.ActivationCache, "look_up", recorded)
    measured = []
    test_step = FFDense.test_step

    def counted(self, *args, **kwargs):
        measured.append(self)
        return test_step(self, *args, **kwargs)

    monkeypatch.setattr(FFDense, "test_step", counted)
    model, _ = trained("dense", cache=True, validation_split=0.0)
    # Those behind the first layer are measured once, while they wait.
    assert set(looked_up) == {0, 1, 2} and model.ff_layers[0] not in measured
    model, _ = trained("dense", cache=False, validation_split=0.0)
    assert model.ff_layers[0] in measured


@pytest.mark.slow
def test_a_run_that_goes_on_with_a_later_layer():
    def resumed(cache):
        model, _ = trained("dense", cache, epochs=2)
        x, y = samples()
        model.fit(x, y, epochs=3, initial_epoch=2, batch_size=16, verbose=0)
        return model

    for one, other in zip(resumed(True).variables, resumed(False).variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_what_would_take_too_much_is_computed_in_every_step(monkeypatch):
    _, expected = trained("dense", cache=False)
    # Enough for the second layer's answers, not for the first one's.
    monkeypatch.setattr(activation_cache, "LIMIT_BYTES", SAMPLES * 3 * 10 * 4)
    _, history = trained("dense", cache=True)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4)


def is_kept(x, **settings):
    """Whether `fit` looks up what frozen layers give for its samples, and what it is given then."""
    model = keras_ff.FFModel([FFDense(4), FFDense(4)], **{"num_classes": 3, **settings})
    model.compile()
    with activation_cache.during_fit(model, model.layer_schedule, x) as given:
        kept = model._fitting.cache is not None
        assert kept == (given is not x)
    assert model._fitting.cache is None
    return kept


@pytest.mark.parametrize(
    "settings",
    [
        {"layer_schedule": "simultaneous"},
        {"layer_schedule": Greedy(cache=False)},
        {"negatives": keras_ff.negatives.HybridImages(wrong_labels=True)},
        {"negatives": "adversarial"},
    ],
    ids=str,
)
def test_it_is_left_alone_where_it_does_not_suit(settings):
    assert is_kept(samples()[0])
    assert not is_kept(samples()[0], **settings)


@pytest.mark.slow
def test_only_arrays_and_datasets_by_rows_suit():
    assert is_kept(samples()[0])
    assert not is_kept(iter([samples()]))
    train, validation, _ = keras_ff.datasets.load("digits")
    assert is_kept(train, num_classes=10)
    assert not is_kept(validation, num_classes=10)
    # Nobody knows which samples are in what others make of it.
    assert not is_kept(train.take(2), num_classes=10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("augment", "kept"),
    [
        ({"shift": 1}, False),
        ({"rotate": 5}, False),
        ({"flip": True}, False),
        ({"crop": 0.9}, False),
        ({"colors": 0.1}, False),
        ({"erase": 2}, False),
        ({"shift": 0, "flip": False, "crop": 1}, True),
    ],
    ids=str,
)
def test_an_augmented_dataset_is_computed_in_every_step(augment, kept):
    train, _, _ = keras_ff.datasets.load("digits", augment=augment)
    assert is_kept(train, num_classes=10) == kept


# --- datasets by rows ----------------------------------------------------------------------------


def trained_on_digits(cache, monkeypatch, **loaded):
    """A model after an epoch per layer, its history, and for how many layers steps looked up."""
    looked_up = set()
    look_up = activation_cache.ActivationCache.look_up

    def recorded(self, batch, rows):
        looked_up.add(self.index)
        return look_up(self, batch, rows)

    keras.utils.set_random_seed(5)
    model = keras_ff.FFModel(
        [FFDense(12, dropout=0.1), FFDense(9), FFDense(7)],
        10,
        negatives=keras_ff.negatives.RandomLabels(seed=3),
        layer_schedule=Greedy(cache=cache),
    )
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    train, validation, _ = keras_ff.datasets.load("digits", **loaded)
    with monkeypatch.context() as patch:
        patch.setattr(activation_cache.ActivationCache, "look_up", recorded)
        fitted = model.fit(train, epochs=3, validation_data=validation, verbose=0)
    return model, fitted.history, looked_up


@pytest.mark.slow
def test_losses_on_a_dataset_are_those_of_layers_computed_anew(monkeypatch):
    kept, history, looked_up = trained_on_digits(True, monkeypatch)
    plain, expected, computed = trained_on_digits(False, monkeypatch)
    assert looked_up == {0, 1, 2} and not computed
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-4, atol=1e-5, err_msg=name)
    for one, other in zip(kept.variables, plain.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_any_dataset_is_read_once_where_that_is_asked_for():
    x, y = samples()
    data = tf.data.Dataset.from_tensor_slices((x, y, 1.0 + y)).batch(16)
    ends, reads = [], []
    for given in ("dataset", "arrays"):
        keras.utils.set_random_seed(5)
        model = keras_ff.FFModel(num_classes=3, layer_schedule=Greedy(cache=True), **dense())
        model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
        if given == "dataset":
            counted = data.map(lambda *batch: (tf.py_function(reads.append, [1], []), batch)[1])
            model.fit(counted, epochs=3, shuffle=False, verbose=0)
        else:
            weights = (1.0 + y).astype("float32")
            model.fit(x, y, 16, 3, shuffle=False, sample_weight=weights, verbose=0)
        ends.append(model.get_weights())
    assert len(reads) == 4  # batches
    for ours, expected in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-6)


def test_datasets_that_end_are_read():
    data = tf.data.Dataset.from_tensor_slices(samples()).batch(16)
    assert activation_cache.can_read(data)
    assert not activation_cache.can_read(data.repeat())
    assert not activation_cache.can_read(data.take(0))
    assert not activation_cache.can_read(samples()[0])
    with pytest.raises(ValueError, match="without elements"):
        activation_cache.read(data.filter(lambda x, y: False))


@pytest.mark.slow
def test_labels_of_a_dataset_are_checked_as_ever():
    train, _, _ = keras_ff.datasets.load("digits")
    model = keras_ff.FFModel([FFDense(4), FFDense(4)], num_classes=9)
    model.compile()
    with pytest.raises(ValueError, match=r"Labels must lie in 0 to 8.*Received: 9 among others"):
        model.fit(train, epochs=2, verbose=0)


def test_the_choice_is_saved():
    schedule = Greedy(epochs_per_layer=[1, 2], cache=False)
    assert Greedy.from_config(schedule.get_config()) == schedule
    for cache in ("auto", True, False):
        assert Greedy.from_config(Greedy(cache=cache).get_config()).caches == cache
    # Up to now `True` was the default, and augmented datasets were computed anew all the same.
    assert Greedy.from_config({"epochs_per_layer": None, "cache": True}).caches == "auto"
    with pytest.raises(ValueError, match=r"`cache` must be.*Received: cache='always'"):
        Greedy(cache="always")
