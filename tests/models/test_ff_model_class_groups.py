"""Models of class groups: one stream, a logit a class out of each layer, one pass to score."""

import keras
import numpy as np
import pytest
import sklearn.datasets

import keras_ff
from keras_ff import goodness, losses, recipes, visualization
from keras_ff.layers import Batch, FFConv2D, FFDense
from tests.helpers import activities_of, drawn
from tests.helpers.either_backend import gradient_table


@pytest.fixture(scope="module")
def digits():
    data = sklearn.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return data.images[order, ..., None].astype("float32") / 16, data.target[order]


def model_of(layers, **kwargs):
    kwargs = {"label_embedding": None, "negatives": None, **kwargs}
    return keras_ff.FFModel(layers, num_classes=10, **kwargs)


def dense_model(**kwargs):
    groups = {"goodness": "class_groups", "normalization": "centered_length"}
    return model_of([FFDense(40, **groups), FFDense(60, **groups)], **kwargs)


def test_a_width_that_the_classes_do_not_divide_names_its_neighbours():
    with pytest.raises(ValueError, match="20 or 30 can"):
        model_of([FFDense(25, goodness="class_groups")]).build((None, 4))
    with pytest.raises(ValueError, match="told the number of classes"):
        goodness.ClassGroups()(drawn((2, 4)))


def test_losses_and_goodness_must_fit():
    with pytest.raises(ValueError, match="does not fit"):
        dense_model().compile(loss="symba")
    with pytest.raises(ValueError, match="does not fit"):
        keras_ff.FFModel([FFDense(4)], 2).compile(loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="from_logits=True"):
        dense_model().compile(loss=keras.losses.SparseCategoricalCrossentropy())
    with pytest.raises(ValueError, match="label_embedding=None"):
        dense_model(label_embedding="append")
    with pytest.raises(ValueError, match="negatives=None"):
        dense_model(negatives="random_labels")
    with pytest.raises(ValueError, match="all contrastive or all class groups"):
        model_of([FFDense(20, goodness="class_groups"), FFDense(20)])


def test_gradients_stay_in_their_layer():
    layers = [
        FFDense(
            20,
            goodness=goodness.ClassGroups(num_classes=10),
            loss=losses.ClassLoss(),
            optimizer="sgd",
        )
        for _ in range(3)
    ]
    for layer, width in zip(layers, (6, 20, 20), strict=True):
        layer.build((8, width))

    def losses_of_a_step():
        inputs, found = keras.ops.convert_to_tensor(drawn((8, 6))), []
        for layer in layers:
            measured, batch = layer.train_step(Batch(inputs, 1, labels=np.arange(8)))
            inputs = batch.inputs
            found.append(measured["loss"])
        return found

    kernels = [layer.kernel for layer in layers]
    for k, gradients in enumerate(gradient_table(losses_of_a_step, kernels)):
        for j, gradient in enumerate(gradients):
            assert (gradient is not None and np.abs(gradient).max() > 1e-5) == (j == k)


@pytest.mark.slow
def test_scores_are_the_sum_of_the_layers_logits():
    model = dense_model(layer_schedule="simultaneous")
    model.compile()
    x = np.abs(drawn((5, 4, 4, 1)))
    by_hand, activities = 0.0, x
    model.build(x.shape)
    for layer in model.ff_layers:
        activities = np.array(layer(activities))
        by_hand = by_hand + 10.0 * activities.reshape(5, 10, -1).mean(axis=2)
    np.testing.assert_allclose(model.predict(x, verbose=0), by_hand, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["simultaneous", "greedy"])
@pytest.mark.parametrize("readout", ["goodness", "softmax"])
def test_learns_digits_and_goes_on_after_loading(digits, schedule, readout, tmp_path):
    x, y = digits
    model = dense_model(layer_schedule=schedule, readout=readout)
    model.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
    history = model.fit(x, y, epochs=6, batch_size=64, verbose=0, shuffle=False).history
    assert history["accuracy"][-1] > 0.9
    assert history["layer_2/accuracy"][-1] > 0.9
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        one.fit(x, y, epochs=8, initial_epoch=6, batch_size=64, verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu_full_grad", "t_distribution", "tanh", "sigmoid"])
def test_every_activation_learns(digits, activation):
    x, y = digits
    groups = {"goodness": goodness.ClassGroups(scale=20.0), "normalization": "centered_length"}
    model = model_of(
        [FFDense(100, activation=activation, **groups) for _ in range(2)],
        layer_schedule="simultaneous",
    )
    model.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"])
    model.fit(x[:1400], y[:1400], epochs=6, batch_size=64, verbose=0)
    assert model.evaluate(x[1400:], y[1400:], verbose=0, return_dict=True)["accuracy"] > 0.9


@pytest.mark.slow
def test_evaluate_scores_as_predict_does_in_one_pass(digits):
    x, y = digits[0][:200], digits[1][:200]
    model = dense_model()
    model.compile(keras.optimizers.Adam(3e-3), metrics=["accuracy"], run_eagerly=True)
    model.learning_layers = [0]
    model.train_on_batch(x, y)  # the second layer, untrained, counts in neither
    by_hand = np.mean(model.predict(x, verbose=0).argmax(axis=1) == y)
    passes, call = [], model.ff_layers[0].call
    model.ff_layers[0].call = lambda *args, **kwargs: passes.append(1) or call(*args, **kwargs)
    logs = model.evaluate(x, y, batch_size=200, verbose=0, return_dict=True)
    assert logs["accuracy"] == pytest.approx(by_hand)
    assert len(passes) == 1


@pytest.mark.slow
def test_a_recipe_and_the_picture_of_class_groups(digits):
    config = recipes.TrainingConfig.for_dataset("digits", goodness="class_groups", units=(20, 30))
    assert config.loss == "sparse_categorical_crossentropy"
    assert (config.alpha, config.threshold, config.margin) == (None, None, None)
    assert recipes.TrainingConfig.from_dict(config.to_dict()) == config
    model = config.new_model((8, 8, 1), num_classes=10, steps_per_epoch=10)
    assert model.label_embedding is None and model.negatives is None
    x, y = digits
    model.fit(x[:500], y[:500], epochs=3, verbose=0)
    figure = visualization.goodness_separation(model, x[500:700], y[500:700])
    logs = model.evaluate(x[500:700], y[500:700], verbose=0, return_dict=True)
    goodness_of_layer = model.stack.goodness(
        activities_of(model, model.streams.embed(x[500:700], None))
    )[1]
    goodness_of_layer = keras.ops.convert_to_numpy(goodness_of_layer)
    true = goodness_of_layer[np.arange(200), y[500:700]]
    ahead = (true[:, np.newaxis] > goodness_of_layer).sum(axis=1) / 9
    assert figure.axes[1].get_title() == f"Layer 2: pair accuracy {100 * ahead.mean():.1f} %"
    assert np.mean(ahead == 1) == pytest.approx(logs["layer_2/accuracy"])


@pytest.mark.slow
def test_a_convolutional_net_of_class_groups(digits):
    x, y = digits
    group_norm = {"groups": 10, "center": False, "scale": False}
    model = model_of(
        [
            FFConv2D(20, goodness="class_groups", normalization=None),
            FFConv2D(
                40,
                goodness="class_groups",
                normalization=keras.layers.GroupNormalization(**group_norm),
                pooling=keras.layers.AveragePooling2D(2),
            ),
        ],
        layer_schedule="simultaneous",
    )
    model.compile(keras.optimizers.Adam(1e-2), metrics=["accuracy"])
    model.fit(x[:1400], y[:1400], epochs=6, batch_size=64, verbose=0)
    assert [tuple(layer.kernel.shape) for layer in model.ff_layers] == [
        (3, 3, 1, 20),
        (3, 3, 20, 40),
    ]
    assert model.ff_layers[1].compute_output_shape((None, 8, 8, 20)) == (None, 4, 4, 40)
    assert model.evaluate(x[1400:], y[1400:], verbose=0, return_dict=True)["accuracy"] > 0.9


def test_a_stack_that_shrinks_to_nothing_is_refused():
    layers = [FFConv2D(4, padding="valid", strides=2) for _ in range(4)]
    with pytest.raises(ValueError):
        keras_ff.FFModel(layers, 2, label_embedding="overlay").build((None, 8, 8, 1))
    pooled = FFConv2D(4, pooling=keras.layers.MaxPooling2D(2))
    with pytest.raises(ValueError, match="zero or negative"):
        pooled.build((None, 1, 1, 3))


def test_metrics_of_the_convolution_by_hand():
    """Pooling stands before goodness, and goodness before the next layer's normalisation."""
    layer = FFConv2D(
        2,
        kernel_size=1,
        activation=None,
        normalization=None,
        pooling=keras.layers.MaxPooling2D(2),
        kernel_initializer="ones",
        loss=losses.SymBa(1.0),
    )
    positive, negative = np.ones((1, 2, 2, 1)), 0.5 * np.ones((1, 2, 2, 1))
    positive[0, 1, 1, 0] = 3.0
    metrics, batch = layer.test_step(np.concatenate([positive, negative]).astype("float32"))
    assert tuple(batch.inputs.shape) == (2, 1, 1, 2)
    assert float(metrics["positive_goodness"][0]) == 9.0
    assert float(metrics["negative_goodness"][0]) == 0.25
    np.testing.assert_allclose(metrics["loss"], np.log1p(np.exp(-(9.0 - 0.25))), rtol=1e-4)
