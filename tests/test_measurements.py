"""Measurements of layers, against plain numpy."""

import keras
import numpy as np
import pytest

import keras_ff
from keras_ff import measurements
from keras_ff.layers import FFConv2D, FFDense
from keras_ff.measurements import measure
from tests.helpers import activities_of

CLASSES, FEATURES, IMAGES = 3, 6, (6, 6, 1)


def data(number=40, shape=(FEATURES,), seed=3):
    rng = np.random.default_rng(seed)
    y = np.arange(number) % CLASSES
    x = rng.normal(size=(number, *shape)) + y.reshape(-1, *[1] * len(shape))
    return x.astype("float32"), y


def new_model(units=(9, 9), trained=None, **arguments):
    layer = arguments.pop("layer", {})
    model = keras_ff.FFModel([FFDense(width, **layer) for width in units], CLASSES, **arguments)
    model.compile(loss=arguments.pop("loss", None))
    model.build((None, FEATURES))
    if trained is not None:
        model.layers_trained.assign(trained)
    return model


def activities_by_hand(model, x, labels, activation=lambda z: np.maximum(z, 0)):
    """Activities of dense layers under appended labels, in float64."""
    length = np.sqrt(0.1 * np.sum(x.astype("float64") ** 2, axis=1, keepdims=True))
    handed = np.concatenate([x, length * np.eye(CLASSES)[labels]], axis=1)
    found = []
    for layer in model.ff_layers:
        kernel, bias = (
            keras.ops.convert_to_numpy(weight).astype("float64")
            for weight in layer.transform.weights
        )
        handed = handed / np.sqrt(np.mean(handed**2, axis=1, keepdims=True) + 1e-8)
        handed = activation(handed @ kernel + bias)
        found.append(handed)
    return found


def pairs_by_hand(model, x, y, *activation):
    """The first layer's activities with true labels, and with the wrong ones that are drawn."""
    wrong = keras.ops.convert_to_numpy(model.negatives.labels(y, CLASSES, seed=0))
    return [activities_by_hand(model, x, labels, *activation)[0] for labels in (y, wrong)]


def goodness_by_hand(model, x):
    """Mean of squares of every layer for every label: (layers, samples, classes)."""
    each = [
        [np.mean(a**2, axis=1) for a in activities_by_hand(model, x, np.full(len(x), label))]
        for label in range(CLASSES)
    ]
    return np.array(each).transpose(1, 2, 0)


@pytest.mark.slow
def test_goodness_scores_and_accuracies_are_those_of_numpy(monkeypatch):
    monkeypatch.setattr(measurements, "BATCH", 15)  # the last of three batches is smaller
    model, (x, y) = new_model(), data()
    goodness = goodness_by_hand(model, x)
    measured = measure(model, x, y)
    for layer, expected in zip(measured.layers, goodness, strict=True):
        np.testing.assert_allclose(layer.class_scores, expected, rtol=1e-4, atol=1e-6)
        positive = expected[np.arange(len(y)), y]
        np.testing.assert_allclose(layer.positive_goodness, positive, rtol=1e-4, atol=1e-6)
        wrong = expected[~np.eye(CLASSES, dtype=bool)[y]].reshape(len(y), 2)
        assert np.isclose(layer.negative_goodness, wrong, rtol=1e-4, atol=1e-6).any(axis=1).all()
        apart = positive.mean() - layer.negative_goodness.mean()
        assert layer.separation == pytest.approx(apart, abs=1e-5)
        share = np.mean(positive > layer.negative_goodness[:, 0] + 1e-7)
        assert layer.pair_accuracy == pytest.approx(share, abs=1 / len(y))
    # Scores so near each other that rounding decides are read as they were measured.
    goodness = np.array([layer.class_scores for layer in measured.layers])
    alone = [np.mean(np.argmax(one, axis=1) == y) for one in goodness]
    assert measured.accuracy_alone() == pytest.approx(alone)
    first = np.cumsum(goodness, axis=0)
    together = [np.mean(np.argmax(one, axis=1) == y) for one in first]
    assert measured.accuracy_of_first() == pytest.approx(together)
    np.testing.assert_allclose(measured.scores(), model.predict(x, verbose=0), rtol=1e-5)


@pytest.mark.slow
def test_the_negatives_are_those_of_validation():
    """With two negatives of three classes nothing is random, and evaluate sees the same pairs."""
    model = new_model(negatives=keras_ff.negatives.AllLabels())
    x, y = data()
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    for number, layer in enumerate(measure(model, x, y).layers, start=1):
        told = logs[f"layer_{number}/pair_accuracy"]
        assert layer.pair_accuracy == pytest.approx(told, abs=1e-6)
        apart = logs[f"layer_{number}/positive_goodness"]
        apart -= logs[f"layer_{number}/negative_goodness"]
        assert layer.separation == pytest.approx(apart, rel=1e-4)


def test_dead_units_and_silent_activities_of_relu():
    model, (x, y) = new_model(units=(8, 5)), data()
    first = model.ff_layers[0].transform
    bias = np.zeros(8)
    bias[[1, 4, 6]] = -1e4  # never above zero
    first.bias.assign(bias)
    layer = measure(model, x, y).layers[0]
    assert layer.dead_share == 3 / 8
    np.testing.assert_array_equal(np.flatnonzero(layer.unit_range == 0), [1, 4, 6])
    every = pairs_by_hand(model, x, y)
    assert layer.saturated_share == pytest.approx(np.mean(np.array(every) <= 1e-3), abs=1e-3)
    spread = np.ptp(np.concatenate(every), axis=0)
    np.testing.assert_allclose(layer.unit_range, spread, rtol=1e-4)


def test_saturation_lies_near_both_bounds_of_tanh():
    model, (x, y) = new_model(units=(40,), layer={"activation": "tanh"}), data()
    kernel = model.ff_layers[0].transform.kernel
    kernel.assign(4.0 * kernel)
    every = [
        activities_by_hand(model, x, np.full(len(x), label), np.tanh)[0] for label in range(CLASSES)
    ]
    expected = np.mean(np.abs(every) >= 0.98)  # 1 % of the way from −1 to 1
    assert 0.05 < expected < 0.95
    measured = measure(model, x, y).layers[0].saturated_share
    assert measured == pytest.approx(expected, abs=1e-2)  # of true labels and some wrong ones


@pytest.mark.parametrize("activation", ["leaky_relu", "t_distribution", "linear"])
def test_activations_without_bounds_never_saturate(activation):
    model, (x, y) = new_model(units=(6,), layer={"activation": activation}), data()
    assert measure(model, x, y).layers[0].saturated_share == 0.0


def test_activities_are_those_of_positives(monkeypatch):
    model, (x, y) = new_model(), data()
    expected = activities_by_hand(model, x, y)[0].ravel()
    kept = measure(model, x, y).layers[0].activities
    np.testing.assert_allclose(np.sort(kept), np.sort(expected), atol=1e-5)
    monkeypatch.setattr(measurements, "KEPT_ACTIVITIES", 120)
    fewer = measure(model, x, y).layers[0].activities
    assert fewer.shape == (120,)
    np.testing.assert_allclose(fewer, expected[::3], atol=1e-5)


def test_class_groups_have_the_other_classes_as_negatives():
    model = new_model(layer={"goodness": "class_groups"}, label_embedding=None, negatives=None)
    x, y = data()
    measured = measure(model, x, y)
    assert measured.class_groups and measured.stream_names == ("true class", "other classes")
    logits = [layer.class_scores for layer in measured.layers]
    np.testing.assert_allclose(sum(logits), model.predict(x, verbose=0), rtol=1e-4, atol=1e-5)
    for layer, scores in zip(measured.layers, logits, strict=True):
        np.testing.assert_array_equal(layer.positive_goodness, scores[np.arange(len(y)), y])
        assert layer.negative_goodness.shape == (len(y), CLASSES - 1)
        total = layer.positive_goodness + layer.negative_goodness.sum(axis=1)
        np.testing.assert_allclose(total, scores.sum(axis=1), rtol=1e-4, atol=1e-5)


def unsupervised(readout_layers):
    model = keras_ff.FFModel(
        [FFDense(7), FFDense(5), FFDense(4)],
        CLASSES,
        label_embedding=None,
        negatives="hybrid_images",
        readout=keras_ff.readouts.Softmax(layers=readout_layers),
    )
    model.compile()
    model.build((None, *IMAGES))
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("readout_layers", "seen"), [(None, [1, 2]), ("all", [0, 1, 2]), ([1], [1])]
)
def test_a_linear_readout_is_parted_among_the_layers(readout_layers, seen):
    model, (x, y) = unsupervised(readout_layers), data(shape=IMAGES)
    untrained = measure(model, x, y)
    assert np.isnan(untrained.accuracy_alone()).all() and untrained.scores() is None
    rng = np.random.default_rng(0)
    head = model.readout.head
    head.kernel.assign(rng.normal(size=head.kernel.shape))
    head.bias.assign(rng.normal(size=head.bias.shape))
    measured = measure(model, x, y)
    known = [k for k, layer in enumerate(measured.layers) if layer.class_scores is not None]
    assert known == seen and not measured.scores_are_goodness
    answers = model.predict(x, verbose=0)
    np.testing.assert_allclose(measured.scores(), answers, rtol=1e-4, atol=1e-5)
    assert measured.accuracy_of_first()[-1] == np.mean(np.argmax(answers, axis=1) == y)
    assert np.isnan(measured.accuracy_alone()).tolist() == [k not in seen for k in range(3)]


def test_without_labels_there_is_goodness_but_no_accuracy():
    model, (x, _) = unsupervised("all"), data(shape=IMAGES)
    measured = measure(model, x)
    assert measured.layers[0].positive_goodness.shape == (40,)
    assert np.isnan(measured.accuracy_of_first()).all()


def test_channels_are_units_and_positions_are_averaged():
    layers = [FFConv2D(4, kernel_size=3)]
    model = keras_ff.FFModel(layers, CLASSES, label_embedding="overlay")
    model.compile()
    model.build((None, *IMAGES))
    bias = np.zeros(4)
    bias[2] = -1e4
    model.ff_layers[0].transform.bias.assign(bias)
    x, y = data(shape=IMAGES)
    layer = measure(model, x, y).layers[0]
    assert layer.unit_range.shape == (4,) and layer.dead_share == 1 / 4
    (neutral,) = measurements.neutral_activities(model, x)
    inputs = model.streams.embed(keras.ops.convert_to_tensor(x), None)
    activities = keras.ops.convert_to_numpy(activities_of(model, inputs)[0])
    np.testing.assert_allclose(neutral, activities.mean(axis=(1, 2)), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("trained, shown", [(0, 3), (1, 1), (2, 2)])
def test_layers_that_have_not_been_trained_are_left_out(trained, shown):
    model, (x, y) = new_model(units=(5, 5, 5), trained=trained), data()
    measured = measure(model, x, y)
    assert [layer.number for layer in measured.layers] == list(range(1, shown + 1))
    assert len(measurements.neutral_activities(model, x)) == shown
    np.testing.assert_allclose(measured.scores(), model.predict(x, verbose=0), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("negatives", ["random_labels", "hard_labels", "adversarial"])
def test_measuring_changes_nothing(negatives):
    readout = "softmax" if negatives == "hard_labels" else "goodness"
    model, (x, y) = new_model(negatives=negatives, readout=readout), data()
    before = [keras.ops.convert_to_numpy(variable) for variable in model.variables]
    state = keras.ops.convert_to_numpy(model.negatives.generator.state)
    first, second = measure(model, x, y), measure(model, x, y)
    for one, other in zip(first.layers, second.layers, strict=True):
        np.testing.assert_array_equal(one.negative_goodness, other.negative_goodness)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, keras.ops.convert_to_numpy(variable))
    after = keras.ops.convert_to_numpy(model.negatives.generator.state)
    np.testing.assert_array_equal(after, state)
    other = measure(model, x, y, seed=1).layers[0]
    if negatives == "random_labels":
        assert (other.negative_goodness != first.layers[0].negative_goodness).any()


def test_labels_may_be_columns_or_one_hot():
    model, (x, y) = new_model(), data()
    expected = measure(model, x, y).layers[0].positive_goodness
    for labels in (y[:, np.newaxis], np.eye(CLASSES)[y]):
        measured = measure(model, x, labels)
        np.testing.assert_array_equal(measured.labels, y)
        np.testing.assert_array_equal(measured.layers[0].positive_goodness, expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y: (x[:0], y[:0]), r"no samples.*Received: x of shape \(0, 6\)"),
        (lambda x, y: (x[:, :5], y), r"samples of shape \(6,\)"),
        (lambda x, y: (x, y + 1), "must lie in 0 to 2"),
        (lambda x, y: (x, None), "Labels are needed"),
        (lambda x, y: (x, y[:-1]), "40 samples and 39 labels"),
    ],
)
def test_samples_that_do_not_fit_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        measure(new_model(), *change(*data()))


def test_a_model_must_be_built():
    model = keras_ff.FFModel([FFDense(4)], CLASSES)
    with pytest.raises(ValueError, match=r"must be built.*Received"):
        measure(model, *data())


# The first samples of data of any kind.


def batches(x, y):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((x, y)).batch(7)


class Batches(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.pair = x, y

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return tuple(array[7 * index : 7 * index + 7] for array in self.pair)


class Numbered(keras.utils.PyDataset):
    """One that says how many batches it has by `num_batches`, not by a length."""

    num_batches = 6

    def __init__(self, x, y):
        super().__init__()
        self.pair = x, y

    def __getitem__(self, index):
        return tuple(array[7 * index : 7 * index + 7] for array in self.pair)


class Endless(Numbered):
    num_batches = None

    def __getitem__(self, index):
        return super().__getitem__(index % 6)


def of_unknown_length(x, y):
    return batches(x, y).filter(lambda *batch: True)


def endless(x, y):
    return batches(x, y).repeat()


@pytest.mark.parametrize(
    "kind", [lambda x, y: (x, y), batches, Batches, Numbered, of_unknown_length]
)
@pytest.mark.parametrize("count", [5, 7, 12, 100])
def test_first_samples(kind, count):
    x, y = data()
    found_x, found_y = measurements.first_samples(kind(x, y), count)
    np.testing.assert_array_equal(found_x, x[:count])
    np.testing.assert_array_equal(found_y, y[:count])


@pytest.mark.parametrize("kind", [Endless, endless])
def test_first_samples_of_data_without_an_end(kind):
    x, y = data()
    found_x, found_y = measurements.first_samples(kind(x, y), 100)
    np.testing.assert_array_equal(found_x, np.concatenate([x, x, x])[:100])
    assert len(found_y) == 100


@pytest.mark.tensorflow("tf.distribute is TensorFlow's")
@pytest.mark.parametrize("strategy", ["MirroredStrategy", "OneDeviceStrategy"])
def test_measuring_under_a_strategy(strategy):
    """Every variable has copies then, the number of trained layers and thresholds among them."""
    import tensorflow as tf

    kind = {
        "MirroredStrategy": lambda: tf.distribute.MirroredStrategy(["CPU:0"]),
        "OneDeviceStrategy": lambda: tf.distribute.OneDeviceStrategy("CPU:0"),
    }[strategy]
    learned = {"layer": {"loss": keras_ff.losses.Logistic(threshold="learned")}}
    with kind().scope():
        model = new_model(trained=1, **learned)
    other = new_model(trained=1, **learned)
    other.set_weights(model.get_weights())
    one, same = (measure(each, *data()) for each in (model, other))
    assert len(one.layers) == len(same.layers) == 1
    assert one.layers[0].threshold == same.layers[0].threshold == 0.5
    assert one.accuracy_alone() == same.accuracy_alone()
    np.testing.assert_allclose(
        one.layers[0].positive_goodness, same.layers[0].positive_goodness, rtol=1e-6
    )
    activities = [measurements.neutral_activities(each, data()[0]) for each in (model, other)]
    np.testing.assert_allclose(*activities, rtol=1e-6)


def test_first_samples_without_labels_and_of_what_can_be_seen_once():
    x, y = data()
    found, none = measurements.first_samples(x, 3)
    assert none is None and len(found) == 3
    stream = (pair for pair in [(x, y)])
    assert measurements.first_samples(stream, 3) is None
    assert next(stream)[0] is x
