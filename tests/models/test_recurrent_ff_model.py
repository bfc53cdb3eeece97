"""The recurrent network, against one written out in numpy."""

import keras
import numpy as np
import pytest
import sklearn.datasets

import keras_ff
from keras_ff import labels, layers, models, negatives, readouts
from keras_ff.models import RecurrentDense, RecurrentFFModel
from tests.helpers import activities_of

FEATURES = 5


def samples(count=7, num_classes=2, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, FEATURES)).astype("float32")
    return x, np.arange(count, dtype="int32") % num_classes


def recurrent(units=(6, 4, 8), num_classes=2, compiled=True, **kwargs):
    model = models.recurrent(units, num_classes, **kwargs)
    model.build((None, FEATURES))
    for layer in model.ff_layers:  # biases that would be missed
        layer.transform.bias.assign(keras.random.normal(layer.transform.bias.shape))
    if compiled:
        model.compile(keras.optimizers.SGD(0.5), run_eagerly=True)
    return model


def values(variables):
    """Variables as float64 arrays."""
    return [keras.ops.convert_to_numpy(variable).astype("float64") for variable in variables]


def by_hand(model, x, classes, strength=0.1):
    """What all layers hear and answer: for each iteration a list of (heard, before, activities)."""

    def level(values):
        return values / np.sqrt((values**2).mean(axis=1, keepdims=True) + 1e-8)

    x = x.astype("float64")
    weights = [values(layer.transform.weights) for layer in model.ff_layers]
    number = model.num_classes
    below_last = [FEATURES, *[len(bias) for _, bias in weights]][-2]
    label = np.sqrt(strength * below_last) * np.eye(number)[classes]

    def answer(index, below, above):
        heard = np.concatenate([below, above], axis=1)
        kernel, bias = weights[index]
        return heard, np.maximum(heard @ kernel + bias, 0.0)

    states, below = [], level(x)
    for index in range(len(weights)):
        above = weights[index + 1][1] if index + 1 < len(weights) else np.zeros(number)
        states.append(answer(index, below, np.zeros((len(x), len(above))))[1])
        below = level(states[-1])
    history = []
    for _ in range(model.iterations):
        said = [level(x), *map(level, states), label]
        step = []
        for index, before in enumerate(states):
            heard, new = answer(index, said[index], said[index + 2])
            step.append((heard, before, 0.3 * before + 0.7 * new))
        states = [activities for _, _, activities in step]
        history.append(step)
    return history


@pytest.mark.slow
@pytest.mark.parametrize("units", [(6, 4, 8), (6,)], ids=str)
@pytest.mark.parametrize("scored", [(3, 4, 5), (1, 8)], ids=str)
def test_scores_are_goodness_averaged_over_some_iterations(units, scored):
    model = recurrent(units, 3, scored=scored)
    x, _ = samples(num_classes=3)
    expected = np.zeros((len(x), 3))
    for label in range(3):
        history = by_hand(model, x, np.full(len(x), label))
        for number in scored:
            for _, _, activities in history[number - 1]:
                expected[:, label] += (activities**2).mean(axis=1) / len(scored)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_each_layer_learns_from_its_own_loss_in_every_iteration_and_from_nothing_else(weighted):
    model = recurrent()
    x, y = samples()
    weight = np.linspace(0.0, 2.0, len(x), dtype="float32") if weighted else np.ones(len(x), "f")
    true, wrong = by_hand(model, x, y), by_hand(model, x, 1 - y)
    before = [values(layer.trainable_weights) for layer in model.ff_layers]
    logs = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
    total = 0.0
    for index, layer in enumerate(model.ff_layers):
        loss, kernel, bias = 0.0, 0.0, 0.0
        for positive, negative in zip(true, wrong, strict=True):
            goodness = [(each[index][2] ** 2).mean(axis=1) for each in (positive, negative)]
            difference = 16.0 * (goodness[1] - goodness[0])
            loss += np.mean(weight * np.logaddexp(0.0, difference)) / model.iterations
            # By hand: nothing is differentiated but this layer's answer in this iteration.
            outer = weight * 16.0 / (1 + np.exp(-difference)) / len(x) / model.iterations
            for sign, (heard, past, activities) in ((-1, positive[index]), (1, negative[index])):
                units = activities.shape[1]
                slope = sign * outer[:, None] * 2 * activities / units * 0.7
                slope = slope * (activities - 0.3 * past > 0)
                kernel = kernel + heard.T @ slope
                bias = bias + slope.sum(axis=0)
        after = values(layer.trainable_weights)
        moved = [old - new for old, new in zip(before[index], after, strict=True)]
        np.testing.assert_allclose(moved[0], 0.5 * kernel, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(moved[1], 0.5 * bias, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(float(logs[f"layer_{index + 1}/loss"]), loss, rtol=1e-5)
        total += loss
    np.testing.assert_allclose(float(logs["loss"]), total, rtol=1e-5)


@pytest.mark.slow
def test_evaluation_measures_the_same_losses_and_trains_nothing():
    model = recurrent()
    x, y = samples()
    before = values(model.weights)
    measured = model.evaluate(x, y, verbose=0, return_dict=True)
    for old, new in zip(before, values(model.weights), strict=True):
        np.testing.assert_array_equal(old, new)
    taught = model.train_on_batch(x, y, return_dict=True)
    for name in ("layer_1/loss", "layer_3/positive_goodness", "layer_2/pair_accuracy"):
        np.testing.assert_allclose(float(taught[name]), measured[name], rtol=1e-6)


@pytest.mark.slow
def test_saving_and_going_on(tmp_path):
    x, y = samples(20, 3)
    model = recurrent(num_classes=3, iterations=4, scored=(2, 4), damping=0.2, dropout=0.1)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, RecurrentFFModel)
    assert (loaded.iterations, tuple(loaded.scored)) == (4, (2, 4))
    assert loaded.ff_layers[1].damping == 0.2
    for each in (model, loaded):
        each.fit(x, y, shuffle=False, verbose=0)
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.slow
def test_a_softmax_readout_sees_the_scored_iterations_side_by_side():
    model = recurrent(num_classes=3, readout=readouts.Softmax("all"), negatives="hard_labels")
    x, y = samples(12, 3)
    history = by_hand(model, x, y)
    activities = activities_of(model, model.streams.embed(x, y))
    for index, of_layer in enumerate(activities):
        expected = [history[number - 1][index][2] for number in (3, 4, 5)]
        np.testing.assert_allclose(of_layer, np.concatenate(expected, 1), rtol=1e-5, atol=1e-6)
    assert tuple(model.readout.head.kernel.shape) == ((6 + 4 + 8) * 3, 3)
    model.fit(x, y, verbose=0)
    assert np.ptp(model.predict(x, verbose=0), axis=0).min() > 0


@pytest.mark.slow
def test_compiled_and_eager_steps_agree():
    x, y = samples(8)
    scores = []
    for eagerly in (True, False):
        keras.utils.set_random_seed(3)
        model = recurrent((6, 4), compiled=False, iterations=5)
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=eagerly)
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        scores.append(model.predict(x, verbose=0))
    np.testing.assert_allclose(*scores, rtol=1e-5)


@pytest.mark.slow
def test_bfloat16_comes_close():
    x, _ = samples()
    scores = []
    for policy in ("float32", "mixed_bfloat16"):
        keras.utils.set_random_seed(3)
        keras.config.set_dtype_policy(policy)
        scores.append(recurrent().predict(x, verbose=0))
    assert scores[1].dtype == "float32"
    np.testing.assert_allclose(*scores, rtol=0.05)
    assert np.any(scores[0] != scores[1])


def test_in_another_model_a_recurrent_layer_is_a_dense_one():
    dense = RecurrentDense(4, damping=0.25, normalization="length")
    copy = RecurrentDense.from_config(dense.get_config())
    assert copy.damping == 0.25 and copy.units == 4
    model = keras_ff.FFModel([dense], 2)
    model.build((None, FEATURES))
    assert model.predict(samples()[0], verbose=0).shape == (7, 2)


@pytest.mark.slow
def test_digits_are_learned():
    data = sklearn.datasets.load_digits()
    x, y = (data.images / 16).astype("float32"), data.target
    order = np.random.default_rng(5).permutation(len(x))
    train, test = order[:1400], order[1400:]
    model = models.recurrent((100, 100), negatives=negatives.RandomLabels(3))
    model.compile(keras.optimizers.Adam(5e-3), "label_softmax")
    model.fit(x[train], y[train], batch_size=50, epochs=8, verbose=0)
    answers = model.predict(x[test], verbose=0).argmax(axis=1)
    assert np.mean(answers == y[test]) > 0.88


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.recurrent(layer_schedule="greedy"), "layer_schedule=Greedy"),
        (lambda: models.recurrent(layer_schedule="pipelined"), "layer_schedule=Pipelined"),
        (lambda: models.recurrent(label_embedding="overlay"), "label_embedding=Overlay"),
        (lambda: models.recurrent(negatives="adversarial"), "negatives="),
        (lambda: models.recurrent(iterations=4), "from 1 to 4"),
        (lambda: models.recurrent(scored=()), r"scored=\(\)"),
        (lambda: models.recurrent(scored=(0, 1)), "scored=0"),
        (lambda: models.recurrent(damping=1.0), "damping=1.0"),
        (lambda: RecurrentFFModel([layers.FFDense(4)], 2), "inputs from above"),
        (
            lambda: RecurrentFFModel([keras.layers.Rescaling(2.0), RecurrentDense(4)], 2),
            "inputs from above",
        ),
        (lambda: recurrent().to_backprop(), "no stack"),
        (
            lambda: recurrent(label_embedding=labels.Append(2.0)).predict(np.ones((2, 4))),
            r"shape \(5,\)",
        ),
    ],
)
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
