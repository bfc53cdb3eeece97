"""What else a `keras.Model` has: its layers, their arguments, freezing, and summaries."""

import math

import keras
import numpy as np
import pytest

import keras_ff


def printed(model, **arguments):
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line), line_length=100, **arguments)
    return "\n".join(lines)


# --- looking at a model -----------------------------------------------------------------


def test_summary(new_model):
    model = new_model(3, units=(16, 8), model={"readout": "softmax"})
    text = printed(model)
    for layer in model.ff_layers:
        assert layer.name in text
    # Six features and three label inputs; a bias a unit; the head on the second layer alone.
    parameters = (9 + 1) * 16 + (16 + 1) * 8 + (8 + 1) * 3
    assert f"Trainable params: {parameters}" in text
    assert "one gradient passes at most 1 trainable matri" in text


def test_summary_tells_how_local_learning_is():
    deep = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(4)])
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8), keras_ff.layers.FFLayer(deep)], 2)
    model.build((None, 6))
    assert model.locality == 2
    assert "one gradient passes at most 2 trainable matrices" in printed(model)


def test_summary_of_a_model_that_is_not_built():
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], 2)
    assert "ff_dense" in printed(model)


def test_count_params(new_model):
    model = new_model(3, units=(16, 8))
    # And the count of trained layers, which is a weight that is not trained.
    assert model.count_params() == (9 + 1) * 16 + (16 + 1) * 8 + 2  # layers trained, temperature
    assert sum(math.prod(weight.shape) for weight in model.trainable_weights) == 296


def test_get_layer(new_model):
    model = new_model()
    first, second = model.ff_layers
    assert model.get_layer(first.name) is first
    assert model.get_layer(second.name) is second
    assert model.get_layer(index=model.layers.index(second)) is second
    with pytest.raises(ValueError, match="No such layer: nothing"):
        model.get_layer("nothing")


def test_layers(new_model):
    model = new_model(model={"readout": "softmax"})
    assert [layer for layer in model.layers if layer in model.ff_layers] == model.ff_layers
    assert model.readout in model.layers
    assert model.ff_layers[0].transform in model.ff_layers[0]._flatten_layers()


def test_weights(new_model):
    model = new_model()
    shapes = [tuple(weight.shape) for weight in model.trainable_weights]
    assert shapes == [(8, 16), (16,), (16, 16), (16,)]
    names = [weight.name for weight in model.non_trainable_weights]
    assert names == ["layers_trained", "temperature"]
    values = model.get_weights()
    model.set_weights([value + 1 for value in values])
    for value, changed in zip(values, model.get_weights(), strict=True):
        np.testing.assert_array_equal(changed, value + 1)


def test_it_is_a_keras_model_and_computes_its_shape(new_model):
    model = new_model(3)
    assert isinstance(model, keras.Model)
    assert model.compute_output_shape((7, 6)) == (7, 3)
    assert tuple(model(np.ones((7, 6), "float32")).shape) == (7, 3)


@pytest.mark.slow
def test_it_can_be_a_part_of_another_model(new_model, two_classes):
    model = new_model()
    inputs = keras.Input((6,))
    outer = keras.Model(inputs, keras.layers.Softmax()(model(inputs)))
    x, _ = two_classes
    scores = model.predict(x, verbose=0).astype("float64")
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outer.predict(x, verbose=0), expected, rtol=1e-5)


def test_samples_of_another_shape_are_refused(new_model):
    model = new_model()
    for method in (model.predict, model):
        with pytest.raises(ValueError, match=r"shape \(6,\). Received: x of shape \(2, 7\)"):
            method(np.ones((2, 7), "float32"))


# --- trainable --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_layer_that_is_not_trainable(new_model, fit, two_classes, values, same):
    model, free = (
        new_model(layer={"normalization": "batch"}, optimizer=keras.optimizers.Adam(0.01))
        for _ in range(2)
    )
    frozen, second = model.ff_layers
    frozen.trainable = False
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    start, second_start = values(frozen.variables), values(second.trainable_variables)
    history = fit(model, *two_classes, epochs=2).history
    fit(free, *two_classes, epochs=2)
    # Neither weights nor the moving statistics of its normalisation, nor any generator.
    same(values(frozen.variables), start)
    for one, other in zip(values(second.trainable_variables), second_start, strict=True):
        assert np.abs(one - other).max() > 1e-3
    for one, other in zip(values(free.ff_layers[0].variables), start, strict=True):
        if one.dtype == np.float32:
            assert np.abs(one - other).max() > 1e-3
    # The loss counts all layers; the frozen one still tells how it does.
    both = np.add(history["layer_1/loss"], history["layer_2/loss"])
    assert history["loss"] == pytest.approx(both)


@pytest.mark.slow
def test_a_layer_can_be_frozen_between_fits(new_model, fit, two_classes, values, same):
    model = new_model(run_eagerly=False)
    fit(model, *two_classes)
    model.ff_layers[1].trainable = False
    model.compile(keras.optimizers.SGD(0.1))
    first, second = (layer.weights for layer in model.ff_layers)
    start = values(first), values(second)
    fit(model, *two_classes)
    same(values(second), start[1])
    assert np.abs(values(first)[0] - start[0][0]).max() > 1e-3
    model.ff_layers[1].trainable = True
    model.compile(keras.optimizers.SGD(0.1))
    fit(model, *two_classes)
    assert np.abs(values(second)[0] - start[1][0]).max() > 1e-3


@pytest.mark.slow
def test_a_transform_that_is_not_trainable(new_model, fit, two_classes, values, same):
    model = new_model()
    model.ff_layers[0].transform.trainable = False
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    start = values(model.ff_layers[0].weights)
    fit(model, *two_classes)
    same(values(model.ff_layers[0].weights), start)


@pytest.mark.slow
def test_a_model_that_is_not_trainable(new_model, fit, two_classes, values, same):
    model = new_model(model={"readout": "softmax"})
    model.trainable = False
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    learned = [weight for weight in model.weights if weight.name != "layers_trained"]
    start = values(learned)
    fit(model, *two_classes)
    assert len(start) == 7
    same(values(learned), start)


# --- what the wrapped layer is given ----------------------------------------------------


@pytest.mark.slow
def test_regularisers_join_the_loss_and_the_step(new_model, two_classes, values):
    strength = 0.05
    plain = new_model()
    regularised = new_model(layer={"kernel_regularizer": keras.regularizers.L2(strength)})
    start = values(plain.trainable_variables)
    kernels = start[0], start[2]
    logs = [model.train_on_batch(*two_classes, return_dict=True) for model in (plain, regularised)]
    for number, kernel in enumerate(kernels, start=1):
        penalty = strength * np.sum(kernel**2)
        difference = logs[1][f"layer_{number}/loss"] - logs[0][f"layer_{number}/loss"]
        assert difference == pytest.approx(penalty, rel=1e-4)
    assert logs[1]["loss"] - logs[0]["loss"] == pytest.approx(
        strength * sum(np.sum(kernel**2) for kernel in kernels), rel=1e-4
    )
    # A step of 0.1 along the penalty's gradient, 2 · strength · kernel, and nothing else besides.
    after = values(regularised.trainable_variables), values(plain.trainable_variables)
    for position, kernel in ((0, kernels[0]), (2, kernels[1])):
        np.testing.assert_allclose(
            after[0][position] - after[1][position], -0.1 * 2 * strength * kernel, atol=1e-6
        )


def test_regularisers_of_all_layers_count(new_model, two_classes):
    model = new_model(
        layer={"kernel_regularizer": keras.regularizers.L2(1.0)},
        model={"layer_schedule": "greedy"},
    )
    model.learning_layers = [1]
    logs = model.train_on_batch(*two_classes, return_dict=True)
    expected = logs["layer_1/loss"] + logs["layer_2/loss"]
    assert logs["loss"] == pytest.approx(expected, rel=1e-6)
    penalty = np.sum(np.square(model.ff_layers[0].kernel))
    assert logs["layer_1/loss"] > penalty > 1.0


@pytest.mark.slow
def test_constraints(new_model, fit, two_classes, values):
    free = new_model()
    constrained = new_model(layer={"kernel_constraint": keras.constraints.NonNeg()})
    for model in (free, constrained):
        fit(model, *two_classes, epochs=2)
    for position in (0, 2):
        assert values(free.trainable_variables)[position].min() < -0.1
        kernel = values(constrained.trainable_variables)[position]
        assert kernel.min() == 0.0 and kernel.max() > 0.1


@pytest.mark.slow
def test_constraints_hold_in_mixed_float16(new_model, fit, two_classes, values):
    keras.config.set_dtype_policy("mixed_float16")
    model = new_model(layer={"kernel_constraint": keras.constraints.MaxNorm(0.5)})
    fit(model, *two_classes)
    for kernel in values(model.trainable_variables)[::2]:
        assert np.sqrt((kernel**2).sum(axis=0)).max() <= 0.5 + 1e-3


def test_initialisers(new_model, values):
    model = new_model(
        layer={
            "kernel_initializer": keras.initializers.Constant(0.25),
            "bias_initializer": "ones",
        }
    )
    kernel, bias, *_ = values(model.trainable_variables)
    np.testing.assert_array_equal(kernel, np.full((8, 16), 0.25, "float32"))
    np.testing.assert_array_equal(bias, np.ones(16, "float32"))


@pytest.mark.slow
def test_layers_of_any_kind(digits):
    (x, y), _ = digits
    layers = [
        keras_ff.layers.FFLayer(keras.layers.Conv2D(4, 3, activation="relu")),
        keras_ff.layers.FFDense(16),
    ]
    model = keras_ff.FFModel(layers, 10, label_embedding="overlay", layer_schedule="simultaneous")
    model.compile("adam", run_eagerly=True)
    history = model.fit(x[:40], y[:40], batch_size=20, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.predict(x[:5], verbose=0).shape == (5, 10)
