"""Mistakes found in published Forward-Forward code, each with a test that fails if it is made."""

import keras
import numpy as np
import pytest
from keras.ops import convert_to_numpy

import keras_ff
from keras_ff import goodness, labels, losses
from keras_ff.layers import FFConv2D, FFDense, LengthNormalization
from keras_ff.negatives import RandomLabels
from tests.helpers import drawn, mostly_slow
from tests.helpers.either_backend import gradient_table, value_and_gradients

# Contrastive ones; class groups have a file of their own.
LOSSES = [name for name, part in losses.KNOWN.items() if not part.per_class]
GOODNESS = [name for name, part in goodness.KNOWN.items() if not part.per_class]
FEATURES = 6


def samples(count=12, classes=2, seed=1):
    return drawn(count, FEATURES, seed=seed), np.arange(count) % classes


def ff_layer(units=5, **settings):
    return FFDense(units, **{"loss": "symba", "optimizer": keras.optimizers.SGD(0.1), **settings})


def compiled(layers, classes=2, optimizer=None, loss="symba", metrics=None, eager=True, **settings):
    settings = {"layer_schedule": "simultaneous", **settings}
    model = keras_ff.FFModel(layers, classes, **settings)
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss, metrics=metrics, run_eagerly=eager)
    model.build((None, FEATURES))
    return model


def dense_model(*units, classes=2, layer=None, **settings):
    return compiled([FFDense(width, **(layer or {})) for width in units], classes, **settings)


def same(first, second):
    """Assert two lists of arrays to be equal, bit by bit."""
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


# --- 1. gradients that cross layers, detaches that stop all learning ----------------------------


def gradients_of_two_losses(inputs):
    """Of the losses of two layers in a chain, by the weights of the first and by the second's."""
    first, second = ff_layer(activation="tanh"), ff_layer(activation="tanh")
    second.test_step(first.test_step(inputs)[1].inputs)

    def losses_of_a_step():
        metrics, batch = first.train_step(inputs)
        next_metrics, _ = second.train_step(batch.inputs)
        return [metrics["loss"], next_metrics["loss"]]

    weights = [*first.trainable_weights, *second.trainable_weights]
    return [(row[:2], row[2:]) for row in gradient_table(losses_of_a_step, weights)]


def test_1_a_gradient_that_crosses_layers():
    _, (by_first_weights, _) = gradients_of_two_losses(drawn(8, FEATURES))
    assert by_first_weights == [None, None]


def test_1_a_detach_so_placed_that_nothing_learns():
    layer = ff_layer()
    x = drawn(8, FEATURES)
    layer.test_step(x)
    before = layer.get_weights()
    layer.train_step(x)
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert np.abs(new - old).max() > 1e-4


def test_1_a_readout_that_trains_layers():
    model = dense_model(4, 5, readout="softmax")
    model.readout.head.kernel.assign(drawn(5, 2))
    x, _ = samples()
    weights = [weight for layer in model.ff_layers for weight in layer.trainable_weights]
    _, gradients = value_and_gradients(lambda: model.scores(x), *weights)
    assert gradients == [None] * 4


# --- 2. length that leaks between layers --------------------------------------------------------


def test_2_length_leaking_between_layers():
    """However strongly a layer answers to a sample, the next one sees a direction alone."""
    layer = ff_layer()
    activities = np.abs(drawn(8, FEATURES))
    strength = np.logspace(-1, 3, 8)[:, None].astype("float32")
    np.testing.assert_allclose(layer(activities * strength), layer(activities), rtol=1e-4)


def test_2_batch_normalization_taken_for_length_normalization():
    """A sample is scaled by its own length: it does not matter who else is in the batch."""
    layer = ff_layer()
    activities = np.abs(drawn(8, FEATURES))
    others = activities.copy()
    others[1:] = 50.0
    for training in (False, True):
        np.testing.assert_array_equal(
            layer(activities, training=training)[0], layer(others, training=training)[0]
        )


# --- 3. negatives -------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_3_a_negative_label_that_equals_the_true_one(count):
    y = np.arange(2000) % 10
    wrong = np.array(RandomLabels(count=count, seed=1).labels(y, 10)).reshape(2000, count)
    assert not np.any(wrong == y[:, None])


@pytest.mark.parametrize("eager", [True, False])
def test_3_negatives_frozen_at_the_start(eager):
    """Nothing learns here, so that only the labels drawn can change a figure."""
    model = dense_model(8, classes=10, optimizer=keras.optimizers.SGD(0.0), eager=eager)
    x, y = samples(20, classes=10)
    metrics = {"layer_1/positive_goodness": [], "layer_1/negative_goodness": []}
    for _ in range(3):
        model.reset_metrics()
        logs = model.train_on_batch(x, y, return_dict=True)
        for name, values in metrics.items():
            values.append(float(logs[name]))
    assert len(set(metrics["layer_1/positive_goodness"])) == 1
    assert len(set(metrics["layer_1/negative_goodness"])) == 3


# --- 4. the strength of the label ---------------------------------------------------------------


@pytest.mark.parametrize("embedding", [labels.Append(), labels.Overlay()], ids=repr)
def test_4_a_label_whose_strength_depends_on_the_batch(embedding):
    x, y = samples()
    bright = x.copy()
    bright[-1] *= 1000.0
    for given in (y, None):
        np.testing.assert_array_equal(embedding(x, given, 2)[:-1], embedding(bright, given, 2)[:-1])


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_4_a_label_written_after_standardization(name):
    """It would weigh more in dark samples than in bright ones."""
    model = dense_model(8, 5, classes=3, label_embedding=name)
    x, _ = samples()
    scores = np.array(model(x))
    assert np.ptp(scores, axis=1).min() > 1e-3  # labels do tell
    for brightness in (0.1, 100.0):
        np.testing.assert_allclose(model(brightness * x), scores, rtol=1e-3)


@pytest.mark.parametrize("name", ["append", "overlay"])
@pytest.mark.parametrize("classes", [2, 4])
def test_4_positives_and_negatives_treated_differently(classes, name):
    model = dense_model(
        8, classes=classes, label_embedding=name, negatives=RandomLabels(count=classes - 1)
    )
    x, y = samples(classes=classes)
    batch = model.streams(x, y)
    streams = batch.streams
    assert streams == classes
    rows = np.array(model.ff_layers[0].embed(batch)).reshape(streams, 12, -1)
    place = slice(FEATURES, None) if name == "append" else slice(0, classes)
    label = rows[..., place]
    pixels = np.delete(rows, np.arange(rows.shape[-1])[place], axis=-1)
    np.testing.assert_array_equal(pixels, np.repeat(pixels[:1], streams, axis=0))
    np.testing.assert_array_equal(
        np.sort(label, axis=-1), np.repeat(np.sort(label[:1], axis=-1), streams, axis=0)
    )
    np.testing.assert_array_equal(np.argmax(label[0], axis=-1), y)
    assert not np.any(np.argmax(label[1:], axis=-1) == y)


# --- 5. axes, and what goodness is measured on --------------------------------------------------


def test_5_the_wrong_axis_in_a_normalization():
    images = drawn(3, 4, 5, 2) * np.logspace(-1, 1, 4).reshape(1, 4, 1, 1).astype("float32")
    normal = np.array(LengthNormalization()(images))
    lengths = np.sqrt((images.astype("float64") ** 2).mean(axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(normal, images / lengths, rtol=1e-4)


def test_5_goodness_measured_after_normalizing():
    layer = ff_layer(use_bias=False)
    x = drawn(16, FEATURES)
    positive = np.array(layer.test_step(x)[0]["positive_goodness"])
    assert np.std(positive) > 0.05 * np.mean(positive)  # not the same for every sample
    layer.kernel.assign(2.0 * layer.kernel)
    np.testing.assert_allclose(
        layer.test_step(x)[0]["positive_goodness"], 4.0 * positive, rtol=1e-4
    )


# --- 6. batch statistics ------------------------------------------------------------------------


def test_6_statistics_of_positives_and_negatives_apart():
    layer = ff_layer(normalization="batch")
    positive, negative = drawn(6, FEATURES) + 3.0, drawn(6, FEATURES, seed=2) - 1.0
    both = np.concatenate([positive, negative])
    layer.train_step(both)
    mean, variance = both.mean(axis=0), both.var(axis=0)
    np.testing.assert_allclose(
        convert_to_numpy(layer.normalization.moving_mean), 0.01 * mean, rtol=1e-4
    )
    np.testing.assert_allclose(
        convert_to_numpy(layer.normalization.moving_variance), 0.99 + 0.01 * variance, rtol=1e-4
    )


def batch_normalized(**settings):
    return dense_model(8, 5, layer={"normalization": "batch"}, **settings)


def statistics(model):
    return [
        convert_to_numpy(weight)
        for layer in model.ff_layers
        for weight in layer.normalization.non_trainable_weights
    ]


def test_6_statistics_updated_in_frozen_layers():
    model = batch_normalized(layer_schedule="greedy")
    x, y = samples()
    model.train_on_batch(x, y)
    before = statistics(model)
    model.learning_layers = (1,)
    model.train_on_batch(x, y)
    after = statistics(model)
    same(before[:2], after[:2])
    assert min(np.abs(old - new).max() for old, new in zip(before[2:], after[2:], strict=True)) > 0


def test_6_statistics_updated_while_predicting():
    model = batch_normalized(readout="softmax", metrics=["accuracy"])
    x, y = samples()
    model.train_on_batch(x, y)
    before = statistics(model)
    model.predict(x, verbose=0)
    model.evaluate(x, y, verbose=0)
    model(x)
    same(before, statistics(model))


@pytest.mark.parametrize("readout", ["goodness", "softmax"])
def test_6_statistics_updated_more_than_once_a_step(readout):
    """Neither the readout's own passes nor the metrics' count as training."""
    model = batch_normalized(readout=readout, metrics=["accuracy"])
    x, y = samples()
    first = np.array(model.ff_layers[0].embed(model.streams(x, y)))
    model.train_on_batch(x, y)
    np.testing.assert_allclose(statistics(model)[0], 0.01 * first.mean(axis=0), rtol=1e-4)


# --- 7. thresholds, margins, signs --------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 64.0])
@pytest.mark.parametrize("measure", [goodness.SumOfSquares, goodness.MeanOfSquares])
def test_7_a_threshold_that_does_not_fit_sum_or_mean(measure, scale):
    """It starts where the goodness of a new layer is, whatever the width and the scale."""
    for units in (20, 200):
        layer = ff_layer(
            units,
            activation=None,
            goodness=measure(scale=scale),
            loss=losses.Logistic(),
            kernel_initializer="lecun_normal",
        )
        metrics, _ = layer.test_step(drawn(64, 50))
        assert 0.4 < np.mean(np.array(metrics["positive_goodness"])) / layer.loss.threshold < 2.5


@pytest.mark.parametrize("measure", ["mean_of_squares", "sum_of_squares"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_7_a_threshold_that_does_not_fit_the_activation(activation, measure):
    """Positives can pass it even where activities are bounded."""
    layer = ff_layer(
        10,
        activation=activation,
        goodness=measure,
        loss=losses.Logistic(),
        kernel_initializer=keras.initializers.Constant(100.0),
    )
    metrics, _ = layer.test_step(np.ones((2, FEATURES), "float32"))
    assert float(metrics["positive_goodness"][0]) > 1.2 * layer.loss.threshold


@pytest.mark.parametrize("part", [losses.SymBa, losses.LabelSoftmax])
def test_7_an_alpha_that_does_not_fit_sum_or_mean(part):
    steepness = []
    for units in (20, 200):
        layer = ff_layer(units, goodness="sum_of_squares", loss=part())
        layer.build((None, FEATURES))
        steepness.append(layer.loss.alpha * units)
    assert steepness == pytest.approx([16.0, 16.0])


def test_7_a_margin_of_the_wrong_sign():
    for positive, negative in ((0.5, 1.5), (1.0, 1.0), (3.0, -3.0)):
        for side in (0, 1):
            # Each term by itself: the other is far in the flat.
            pair = (positive, -100.0) if side == 0 else (100.0, negative)
            values = [
                float(losses.Logistic(1.0, margin)(np.array(pair[:1]), np.array(pair[1:]))[0])
                for margin in (0.0, 0.5, 2.0)
            ]
            assert values[0] < values[1] < values[2]


@pytest.mark.parametrize("name", LOSSES)
def test_7_terms_that_cancel(name):
    """Positives rise and negatives fall even where both are equally good."""
    for level in (0.0, 1.0, 5.0):
        both_alike = np.array([level], "float32")
        _, (pull, push) = value_and_gradients(losses.get(name), both_alike, both_alike)
        # The logistic pull fades above the threshold, the push below it.
        assert float(pull[0]) < -1e-3
        assert float(push[0]) > 1e-3


# --- 8. batches, classes, sizes -----------------------------------------------------------------


@pytest.mark.parametrize("measure", GOODNESS)
def test_8_goodness_summed_over_the_batch(measure):
    layer = ff_layer(goodness=measure)
    x = drawn(8, FEATURES)
    metrics, _ = layer.test_step(x)
    others = x.copy()
    others[1:] *= -1.0
    other_metrics, _ = layer.test_step(others)
    positive, other = metrics["positive_goodness"], other_metrics["positive_goodness"]
    assert tuple(positive.shape) == (4,)
    assert len(set(np.array(positive))) == 4
    assert float(positive[0]) == float(other[0])
    assert np.all(np.array(positive)[1:] != np.array(other)[1:])


@mostly_slow("readout", ["goodness", "softmax"])
@pytest.mark.parametrize("classes", [2, 3, 12])
def test_8_ten_classes_hard_coded(classes, readout):
    model = dense_model(6, classes=classes, readout=readout)
    x, y = samples(24, classes=classes)
    model.train_on_batch(x, y)
    assert model.predict(x, verbose=0).shape == (24, classes)
    assert model.ff_layers[0].kernel.shape[0] == FEATURES + classes
    found = set()
    for _ in range(20):
        label = np.array(model.ff_layers[0].embed(model.streams(x, y)))[24:, FEATURES:]
        assert np.all(label.max(axis=1) > 0)
        found |= set(np.argmax(label, axis=1))
    assert found == set(range(classes))


def test_8_a_last_short_batch_miscounted():
    """With two classes nothing is random, so that only the counting can tell batches apart."""
    model = dense_model(6, 5, metrics=["accuracy"])
    x, y = samples(10)
    x[8:] *= -3.0
    whole = model.evaluate(x, y, batch_size=10, verbose=0, return_dict=True)
    parts = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        assert parts[name] == pytest.approx(value, rel=1e-5), name
    short = model.evaluate(x[8:], y[8:], verbose=0, return_dict=True)
    assert abs(short["loss"] - whole["loss"]) > 1e-3


def test_8_a_last_short_batch_miscounted_in_training():
    model = dense_model(6, optimizer=keras.optimizers.SGD(0.0))
    x, y = samples(10)
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    logs = model.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    for name in ("loss", "layer_1/positive_goodness", "layer_1/negative_goodness"):
        assert logs[name][0] == pytest.approx(expected[name], rel=1e-5)


def test_8_a_last_short_batch_dropped():
    model = dense_model(6, 5, classes=3)
    x, _ = samples(10)
    scores = model.predict(x, batch_size=4, verbose=0)
    assert scores.shape == (10, 3)
    np.testing.assert_allclose(scores, model(x), rtol=1e-5)


@mostly_slow("readout", ["goodness", "softmax"])
def test_8_accuracy_divided_by_another_sets_size(readout):
    model = dense_model(6, 5, classes=3, metrics=["accuracy"], readout=readout)
    x, y = samples(20, classes=3)
    other, other_y = samples(7, classes=3, seed=2)
    logs = model.fit(
        x, y, batch_size=8, epochs=2, validation_data=(other, other_y), verbose=0
    ).history
    right = np.argmax(model.predict(other, verbose=0), axis=1) == other_y
    assert 0 < right.mean() < 1
    assert logs["val_accuracy"][-1] == pytest.approx(right.mean(), abs=1e-6)
    found = model.evaluate(other, other_y, batch_size=3, verbose=0, return_dict=True)
    assert found["accuracy"] == pytest.approx(right.mean(), abs=1e-6)


# --- 9. training and scoring that differ --------------------------------------------------------


@pytest.mark.parametrize("name", ["append", "overlay"])
def test_9_a_label_form_that_differs_between_training_and_scoring(name):
    """The goodness that layers learn from is, summed over layers, the score of that label."""
    model = dense_model(6, 5, classes=3, label_embedding=name, negatives=RandomLabels(count=2))
    x, y = samples(12, classes=3)
    batch = model.streams(x, y)
    total = np.zeros((12,)), np.zeros((12,))
    for layer in model.ff_layers:
        metrics, batch = layer.test_step(batch)
        total[0][:] += np.array(metrics["positive_goodness"])
        total[1][:] += np.array(metrics["negative_goodness"])
    scores = np.array(model(x))
    true = scores[np.arange(12), y]
    np.testing.assert_allclose(total[0], true, rtol=1e-4)
    np.testing.assert_allclose(total[1], (scores.sum(axis=1) - true) / 2, rtol=1e-4)


def test_9_layers_in_training_see_what_they_see_in_scoring():
    """Without dropout a step works on the very activities of a pass for scores."""
    model = dense_model(6, 5, classes=2)
    x, y = samples()
    batch = model.streams(x, y)
    expected = model.stack.activities(batch)
    for layer, scored in zip(model.ff_layers, expected, strict=True):
        _, batch = layer.train_step(batch)
        np.testing.assert_allclose(batch.inputs, scored, rtol=1e-5, atol=1e-7)


@mostly_slow("readout", ["goodness", "softmax"])
def test_9_dropout_while_scoring(readout):
    model = dense_model(40, 40, layer={"dropout": 0.5}, readout=readout)
    x, y = samples()
    model.train_on_batch(x, y)
    scores = model.predict(x, verbose=0)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(x, verbose=0), scores)
    np.testing.assert_allclose(model(x, training=True), scores, rtol=1e-5)


# --- 10. optimizers and state -------------------------------------------------------------------


def test_10_one_optimizer_shared():
    model = dense_model(6, 5, optimizer=keras.optimizers.Adam(0.01), readout="softmax")
    x, y = samples()
    model.train_on_batch(x, y)
    owners = [*model.ff_layers, model.readout]
    optimizers = [owner.optimizer for owner in owners]
    assert len({id(optimizer) for optimizer in optimizers}) == 3
    for owner in owners:
        assert int(owner.optimizer.iterations) == 1
        assert owner.optimizer.built
        # Its moments are those of its own variables: two for each.
        shapes = [tuple(variable.shape) for variable in owner.trainable_variables]
        moments = [tuple(variable.shape) for variable in owner.optimizer.variables[2:]]
        assert sorted(moments) == sorted(2 * shapes)
    found = {id(optimizer) for optimizer in model.optimizer.optimizers}
    assert found == {id(optimizer) for optimizer in optimizers}


def test_10_an_optimizer_that_is_not_saved(tmp_path):
    """A loaded model takes the step that the saved one would have taken."""
    model = dense_model(6, 5, optimizer=keras.optimizers.Adam(0.01))
    x, y = samples()
    for _ in range(3):
        model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    assert [int(optimizer.iterations) for optimizer in loaded.optimizer.optimizers] == [3, 3]
    for one in (model, loaded):
        one.train_on_batch(x, y)
    same(model.get_weights(), loaded.get_weights())


RUNNING_MEANS = {
    "batch normalization": (
        lambda: {"normalization": "batch"},
        lambda layer: layer.normalization.moving_mean,
    ),
    "peer normalization": (
        lambda: {"auxiliary": keras_ff.layers.PeerNormalization(initial=0.0)},
        lambda layer: layer.auxiliary[0].running_means,
    ),
}


@pytest.mark.parametrize("name", RUNNING_MEANS)
def test_10_running_means_that_are_not_saved(name, tmp_path):
    settings, of_layer = RUNNING_MEANS[name]
    model = compiled([FFDense(8, **settings()), FFDense(5, **settings())])
    x, y = samples()
    for _ in range(3):
        model.train_on_batch(x, y)
    means = [convert_to_numpy(of_layer(layer)) for layer in model.ff_layers]
    assert all(np.abs(mean).max() > 1e-3 for mean in means)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    same(means, [convert_to_numpy(of_layer(layer)) for layer in loaded.ff_layers])
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_10_progress_that_is_not_saved(tmp_path):
    """Which layers are trained, and where the generators stand, are state as weights are."""
    model = dense_model(6, 5, classes=5, layer_schedule="greedy")
    x, y = samples(10, classes=5)
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert int(loaded.layers_trained) == 1
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    same([model.negatives.labels(y, 5)], [loaded.negatives.labels(y, 5)])


# --- 11. overflow -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_11_log_of_one_plus_exp_written_out(name):
    positive = np.array([-1e4, 1e4, 0.0], "float32")
    negative = np.array([1e4, -1e4, 1e4], "float32")
    value, gradients = value_and_gradients(losses.get(name), positive, negative)
    assert np.all(np.isfinite(value))
    assert np.all(np.isfinite(gradients))
    assert float(value[0]) > 1e4 - 2


# --- 12. the test set ---------------------------------------------------------------------------


@mostly_slow("readout", ["goodness", "softmax"])
def test_12_data_for_testing_used_in_training(readout):
    """Whatever is measured on other data along the way, training ends at the same bits.

    The temperature alone, which learns nothing, is chosen on validation data.
    """
    x, y = samples(12, classes=4)
    trained = []
    for seed in (None, 2):
        keras.utils.set_random_seed(5)
        model = dense_model(
            6,
            5,
            classes=4,
            layer={"normalization": "batch"},
            readout=readout,
            loss=losses.Logistic(threshold="learned"),
        )
        other = None if seed is None else samples(9, classes=4, seed=seed)
        model.fit(x, y, epochs=2, batch_size=6, shuffle=False, validation_data=other, verbose=0)
        if seed:
            model.evaluate(*other, verbose=0)
            model.predict(other[0], verbose=0)
        model.train_on_batch(x, y)
        weights = [one for one in model.weights if one is not model.readout.temperature]
        trained.append([keras.ops.convert_to_numpy(weight) for weight in weights])
    same(*trained)


# --- 13. stacks whose size falls to nothing ------------------------------------------------------


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [FFConv2D(10, pooling=keras.layers.MaxPooling2D(2)) for _ in range(4)],
        lambda: [FFConv2D(10, strides=2, padding="valid") for _ in range(3)],
        lambda: [FFConv2D(10), keras.layers.AveragePooling2D(16), FFConv2D(10)],
    ],
    ids=["pooling", "strides", "between"],
)
@pytest.mark.parametrize("class_groups", [False, True])
def test_13_a_stack_whose_spatial_size_falls_to_nothing(layers, class_groups):
    layers = layers()
    family = {"label_embedding": "spatial_pattern"}
    if class_groups:
        family = {"label_embedding": None, "negatives": None}
        for layer in layers:
            layer.goodness = goodness.ClassGroups()
    model = keras_ff.FFModel(layers, num_classes=10, **family)
    with pytest.raises(
        ValueError, match=r"Nothing is left .* Received: samples of shape \(8, 8, 1\)"
    ):
        model.build((None, 8, 8, 1))


# --- 14. grouped convolutions --------------------------------------------------------------------


def test_14_grouped_convolutions():
    """Class groups divide the goodness; the convolution stays whole, and sees every channel."""
    layers = [FFConv2D(10, goodness="class_groups") for _ in range(2)]
    model = keras_ff.FFModel(layers, num_classes=5, label_embedding=None, negatives=None)
    model.build((None, 8, 8, 1))
    for layer, channels in zip(layers, (1, 10), strict=True):
        assert layer.transform.groups == 1
        assert layer.kernel.shape == (3, 3, channels, 10)
