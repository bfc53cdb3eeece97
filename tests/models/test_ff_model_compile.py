"""What `compile` takes: how steps run, precision, and what is refused."""

import keras
import numpy as np
import pytest

import keras_ff
from tests.helpers.either_backend import is_traced


def trained(model, fit, data, values, epochs=2):
    history = fit(model, *data, batch_size=12, epochs=epochs, validation_data=data).history
    return history, values(model.trainable_variables)


@pytest.fixture(scope="module")
def compiled_step(new_model, fit, two_classes, values):
    """History and weights of two epochs of three batches with Keras's defaults."""
    model = new_model(run_eagerly=False, metrics=["accuracy"])
    return trained(model, fit, two_classes, values)


# --- how steps run ----------------------------------------------------------------------


@pytest.mark.slow
def test_run_eagerly(new_model, fit, two_classes, values, same, compiled_step):
    graph, eager = [], []

    class Watching(keras_ff.FFModel):
        def train_on(self, x, *rest):
            (graph if is_traced(x) else eager).append(x)
            return super().train_on(x, *rest)

    model = new_model(kind=Watching, run_eagerly=True, metrics=["accuracy"])
    history, weights = trained(model, fit, two_classes, values)
    assert (len(eager), len(graph)) == (6, 0)  # two epochs of three batches
    same(weights, compiled_step[1], atol=1e-6)
    assert set(history) == set(compiled_step[0])
    for name, metrics in compiled_step[0].items():
        assert history[name] == pytest.approx(metrics, rel=1e-5), name


@pytest.mark.slow
def test_jit_compile(new_model, fit, two_classes, values, same, compiled_step):
    model = new_model(run_eagerly=False, jit_compile=True, metrics=["accuracy"])
    history = fit(model, *two_classes, batch_size=12, epochs=2).history
    assert model.jit_compile is True
    same(values(model.trainable_variables), compiled_step[1], atol=1e-5)
    for name, metrics in history.items():
        assert metrics == pytest.approx(compiled_step[0][name], rel=1e-4), name
    x, _ = two_classes
    np.testing.assert_allclose(model.predict(x, verbose=0), model(x), rtol=1e-4)


@pytest.mark.slow
def test_jit_compile_draws_new_negatives_every_batch(new_model, three_classes):
    model = new_model(
        3, units=(8,), run_eagerly=False, jit_compile=True, optimizer=keras.optimizers.SGD(0.0)
    )
    losses = {model.train_on_batch(*three_classes, return_dict=True)["loss"] for _ in range(4)}
    assert len(losses) == 4


@pytest.mark.slow
def test_steps_per_execution(new_model, fit, two_classes, values, same, compiled_step):
    ends = []

    class Ends(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            ends.append(batch)

    model = new_model(run_eagerly=False, steps_per_execution=2, metrics=["accuracy"])
    history = fit(
        model,
        *two_classes,
        batch_size=12,
        epochs=2,
        validation_data=two_classes,
        callbacks=[Ends()],
    ).history
    # Three batches an epoch, two at a time.
    assert ends == [1, 2, 1, 2] or ends == [1, 3, 1, 3]
    assert int(model.optimizer.iterations) == 6
    same(values(model.trainable_variables), compiled_step[1], atol=1e-6)
    for name, metrics in compiled_step[0].items():
        assert history[name] == pytest.approx(metrics, rel=1e-5), name


@pytest.mark.slow
def test_greedy_with_steps_per_execution(new_model, fit, two_classes, values, same):
    model, single = (
        new_model(run_eagerly=eager, steps_per_execution=steps, model={"layer_schedule": "greedy"})
        for eager, steps in ((False, 2), (True, 1))
    )
    fit(model, *two_classes, epochs=2)
    fit(single, *two_classes, epochs=2)
    same(values(model.trainable_variables), values(single.trainable_variables), atol=1e-6)
    assert int(model.layers_trained) == 2


# --- determinism ------------------------------------------------------------------------


@pytest.fixture
def op_determinism():
    """TensorFlow's op determinism, switched off again after the test."""
    import tensorflow as tf
    from tensorflow.python.framework import config

    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()


@pytest.mark.slow
def test_same_seed_and_op_determinism_give_the_same_weights(
    op_determinism, fit, three_classes, values, same
):
    def run(seed):
        keras.utils.set_random_seed(seed)
        model = keras_ff.FFModel(
            [keras_ff.layers.FFDense(16, dropout=0.2) for _ in range(2)],
            num_classes=3,
            layer_schedule="simultaneous",
            readout="softmax",
        )
        model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
        history = fit(model, *three_classes, epochs=2, shuffle=True)
        return [*values(model), *values(model.optimizer.variables)], history.history

    (weights, history), (again, history_again) = run(5), run(5)
    same(weights, again)
    assert history == history_again and history["loss"][0] != history["loss"][1]


# --- precision --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy, digits):
    keras.config.set_dtype_policy(policy)
    (x, y), (test_x, test_y) = digits
    model = keras_ff.FFModel(
        [keras_ff.layers.FFDense(64) for _ in range(2)], 10, layer_schedule="simultaneous"
    )
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    history = model.fit(x, y, batch_size=50, epochs=4, verbose=0)
    assert {layer.compute_dtype for layer in model.ff_layers} == {policy.removeprefix("mixed_")}
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert all(np.isfinite(metrics).all() for metrics in history.history.values())
    scores = model.predict(test_x, verbose=0)
    assert scores.dtype == np.float32
    assert np.mean(np.argmax(scores, axis=1) == test_y) > 0.7


def test_mixed_float16_skips_a_step_that_overflows(new_model, two_classes, values, same):
    keras.config.set_dtype_policy("mixed_float16")
    model = new_model(model={"readout": "softmax"}, optimizer=keras.optimizers.Adam(0.01))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.train_on_batch(*two_classes)
    start = values(model.trainable_variables)
    slots = [values(optimizer.variables) for optimizer in model.optimizer.optimizers]
    model.optimizer.dynamic_scale.assign(1e30)
    model.train_on_batch(*two_classes)
    same(values(model.trainable_variables), start)
    for optimizer, before in zip(model.optimizer.optimizers, slots, strict=True):
        same(values(optimizer.variables), before)
    assert float(model.optimizer.dynamic_scale) == pytest.approx(0.5e30)
    model.optimizer.dynamic_scale.assign(2.0**10)
    model.train_on_batch(*two_classes)
    for one, other in zip(values(model.trainable_variables), start, strict=True):
        assert np.abs(one - other).max() > 1e-4


def test_mixed_float16_unscales_the_step(new_model, two_classes, values, same):
    plain = new_model(optimizer=keras.optimizers.SGD(0.1))
    keras.config.set_dtype_policy("mixed_float16")
    mixed = new_model(optimizer=keras.optimizers.SGD(0.1))
    start = values(plain.trainable_variables)
    for model in (plain, mixed):
        model.train_on_batch(*two_classes)
    same(values(mixed.trainable_variables), values(plain.trainable_variables), atol=1e-3)
    assert np.abs(values(plain.trainable_variables)[0] - start[0]).max() > 1e-2


@pytest.mark.slow
def test_learning_rate_callbacks_reach_the_layers_in_mixed_float16(new_model, fit, two_classes):
    keras.config.set_dtype_policy("mixed_float16")
    model = new_model()
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.25)
    fit(model, *two_classes, callbacks=[scheduler])
    assert [float(optimizer.learning_rate) for optimizer in model.optimizer.optimizers] == [
        0.25
    ] * 2


# --- optimizers and losses of the layers ------------------------------------------------


def test_every_layer_has_an_optimizer_of_its_own(new_model, two_classes):
    optimizer = keras.optimizers.Adam(0.02, beta_1=0.5)
    model = new_model(optimizer=optimizer)
    model.train_on_batch(*two_classes)
    inner = model.optimizer.optimizers
    assert len({id(one) for one in [*inner, optimizer]}) == 3
    for one, layer in zip(inner, model.ff_layers, strict=True):
        assert one is layer.optimizer
        assert one.beta_1 == 0.5 and float(one.learning_rate) == pytest.approx(0.02)
        assert int(one.iterations) == 1
    assert not optimizer.built


def test_a_layers_own_loss_and_optimizer_win(two_classes):
    own = keras_ff.layers.FFDense(8, optimizer=keras.optimizers.SGD(0.5), loss="logistic")
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8), own], num_classes=2)
    model.compile(keras.optimizers.Adam(0.1), loss=keras_ff.losses.SymBa(alpha=3.0))
    first, second = model.optimizer.optimizers
    assert isinstance(first, keras.optimizers.Adam) and isinstance(second, keras.optimizers.SGD)
    assert float(second.learning_rate) == 0.5
    assert isinstance(model.ff_layers[0].loss, keras_ff.losses.SymBa)
    assert isinstance(own.loss, keras_ff.losses.Logistic)


def test_defaults(two_classes):
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=2)
    model.compile()
    assert isinstance(model.optimizer.optimizers[0], keras.optimizers.Adam)
    assert isinstance(model.loss, keras_ff.losses.SymBa)


@pytest.mark.slow
def test_compile_again_starts_with_new_optimizers(new_model, two_classes, values, same):
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    model, other = new_model(optimizer=optimizer), new_model(optimizer=optimizer)
    model.train_on_batch(*two_classes)
    weights = values(model.trainable_variables)
    model.compile(optimizer, run_eagerly=True)
    same(values(model.trainable_variables), weights)
    model.train_on_batch(*two_classes)
    assert [int(one.iterations) for one in model.optimizer.optimizers] == [1, 1]
    for _ in range(2):
        other.train_on_batch(*two_classes)
    first, second = values(model.trainable_variables), values(other.trainable_variables)
    assert np.abs(first[0] - second[0]).max() > 1e-3


# --- refused ----------------------------------------------------------------------------


def test_loss_weights_are_refused(new_model):
    with pytest.raises(ValueError, match=r"every layer.*Received: loss_weights=\[1.0\]"):
        new_model(loss_weights=[1.0])


def test_a_keras_loss_is_refused(new_model):
    with pytest.raises(ValueError, match="Received: 'mse'"):
        new_model(loss="mse")
    with pytest.raises(ValueError, match=r"Received: .*categorical_crossentropy"):
        new_model(loss=keras.losses.CategoricalCrossentropy())


def test_a_compound_optimizer_is_refused(new_model):
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
    with pytest.raises(ValueError, match="Received: LossScaleOptimizer"):
        new_model(optimizer=optimizer)
    with pytest.raises(ValueError, match="Received: optimizer=None"):
        new_model(optimizer=None)


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
@pytest.mark.parametrize("kind", ["list", "dictionary"])
def test_several_inputs_are_refused(method, kind, new_model, two_classes):
    x, y = two_classes
    inputs = [x, x] if kind == "list" else {"left": x, "right": x}
    name = "list" if kind == "list" else "dict"
    with pytest.raises(ValueError, match=f"one input.*Received: a {name} of 2"):
        getattr(new_model(), method)(inputs, y)


def test_several_inputs_are_refused_in_predict(new_model, two_classes):
    x, _ = two_classes
    for method in ("predict", "predict_on_batch", "__call__"):
        with pytest.raises(ValueError, match=r"one input.*Received: a list of 2"):
            getattr(new_model(), method)([x, x])


def test_several_inputs_in_a_stream_are_refused(new_model, two_classes, generator):
    import tensorflow as tf

    x, y = two_classes
    model = new_model()
    dataset = tf.data.Dataset.from_tensor_slices(((x, x), y)).batch(12)
    with pytest.raises(ValueError, match=r"one input.*Received: a tuple of 2"):
        model.fit(dataset, verbose=0)

    def batches():
        yield {"left": x, "right": x}, y

    with pytest.raises(ValueError, match=r"one input.*Received: a dict of 2"):
        model.fit(batches(), verbose=0)


def test_several_input_shapes_are_refused():
    model = keras_ff.FFModel([keras_ff.layers.FFDense(8)], num_classes=2)
    with pytest.raises(ValueError, match="one input of shape"):
        model.build([(None, 4), (None, 4)])
