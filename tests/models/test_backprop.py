"""`to_backprop`: the same network as a plain Keras model."""

import keras
import numpy as np
import pytest
import sklearn.datasets
from keras import ops

import keras_ff
from keras_ff.layers import FFConv2D, FFDense
from tests.helpers import activities_of
from tests.helpers.either_backend import value_and_gradients


@pytest.fixture(scope="module")
def digits():
    data = sklearn.datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    return data.images[order, ..., None].astype("float32") / 16, data.target[order]


def class_groups(layers):
    return keras_ff.FFModel(layers, num_classes=10, label_embedding=None, negatives=None)


def test_it_is_the_same_network(digits):
    x, _ = digits
    model = class_groups(
        [
            FFConv2D(10, goodness="class_groups", pooling=keras.layers.MaxPooling2D(2)),
            FFDense(20, goodness="class_groups", normalization="batch"),
        ]
    )
    model.build((None, 8, 8, 1))
    network = model.to_backprop()
    assert isinstance(network, keras.Model)
    hidden = x[:5]
    for plain, activities in zip(network.layers[1:3], activities_of(model, x[:5]), strict=True):
        hidden = plain(hidden, training=False)
        np.testing.assert_allclose(hidden, activities, rtol=1e-6)
    head = network.layers[-1]
    np.testing.assert_allclose(network(x[:5]), head(hidden), rtol=1e-5)
    np.testing.assert_allclose(np.sum(np.array(network(x[:5])), axis=1), 1.0, rtol=1e-5)
    assert not {id(weight) for weight in network.weights} & {id(weight) for weight in model.weights}


def test_gradients_pass_from_layer_to_layer(digits):
    x, y = digits
    model = keras_ff.FFModel([FFDense(12) for _ in range(3)], num_classes=10)
    model.build((None, 8, 8, 1))
    network = model.to_backprop(carry_weights=False)

    def loss():
        return ops.mean(keras.losses.sparse_categorical_crossentropy(y[:16], network(x[:16])))

    kernels = [layer.kernel for layer in network.layers[2:5]]
    _, gradients = value_and_gradients(loss, *kernels)
    assert all(np.abs(gradient).max() > 1e-5 for gradient in gradients)


@pytest.mark.parametrize("label_embedding", ["append", "overlay"])
def test_weights_are_carried(label_embedding):
    """Without thresholds; the samples enter with the neutral label."""
    layers = [FFDense(15, loss=keras_ff.losses.Logistic("learned")), FFDense(6)]
    model = keras_ff.FFModel(layers, num_classes=10, label_embedding=label_embedding)
    model.compile()
    model.build((None, 8, 8, 1))
    network = model.to_backprop()
    x = np.random.default_rng(1).random((3, 8, 8, 1), "float32")
    np.testing.assert_array_equal(network.layers[1](x), model.label_embedding(x, None, 10))
    for plain, layer in zip(network.layers[2:], layers, strict=False):
        np.testing.assert_array_equal(plain.kernel, layer.kernel)
        assert len(plain.weights) == 2  # kernel and bias, no threshold
    fresh = model.to_backprop(carry_weights=False).layers[3]
    assert np.abs(np.array(fresh.kernel) - np.array(layers[1].kernel)).max() > 0.1


@pytest.mark.slow
def test_weights_of_activations_are_carried(digits):
    x, y = digits
    layer = FFDense(12, activation=keras.layers.PReLU(alpha_initializer="ones"))
    model = keras_ff.FFModel([layer], num_classes=10, layer_schedule="simultaneous")
    model.compile(keras.optimizers.Adam(0.05))
    model.fit(x[:200], y[:200], verbose=0)
    alpha = np.array(layer.activation.alpha)
    assert np.abs(alpha - 1).max() > 0.01
    network = model.to_backprop()
    plain = next(one for one in network.layers if isinstance(one, FFDense))
    np.testing.assert_array_equal(plain.activation.alpha, alpha)
    layer.activation.alpha.assign(np.zeros_like(alpha))
    model.carry_from_backprop(network, x[:200], y[:200])
    np.testing.assert_array_equal(layer.activation.alpha, alpha)


@pytest.mark.slow
def test_training_either_leaves_the_other_as_it_is(digits):
    x, y = digits[0][:40], digits[1][:40]
    model = keras_ff.FFModel([FFDense(12), FFDense(12)], num_classes=10)
    model.compile(run_eagerly=True)
    model.build((None, 8, 8, 1))
    network = model.to_backprop()
    network.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    scores = model.predict(x, verbose=0)
    network.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), scores)
    model.carry_from_backprop(network, x, y)
    scores = network.predict(x, verbose=0)
    model.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(network.predict(x, verbose=0), scores)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "relu_full_grad", "t_distribution", "tanh"])
def test_every_activation_learns_by_backpropagation(digits, activation):
    x, y = digits
    normalization = "centered_length" if activation == "t_distribution" else "length"
    model = keras_ff.FFModel(
        [FFDense(64, activation=activation, normalization=normalization) for _ in range(2)], 10
    )
    model.build((None, 8, 8, 1))
    network = model.to_backprop(carry_weights=False)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = network.fit(x[:1400], y[:1400], epochs=15, batch_size=64, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert network.evaluate(x[1400:], y[1400:], verbose=0)[1] > 0.9


def test_an_unbuilt_model_is_refused():
    with pytest.raises(ValueError, match="must be built"):
        keras_ff.FFModel([FFDense(4)], 2).to_backprop()
