"""Bad data end in a ValueError that names them, before they are used."""

import keras
import numpy as np
import pytest

import keras_ff


def with_value(array, value, place=27):
    """A copy of an array with one entry replaced, in the third batch of three."""
    array = array.astype("float32") if isinstance(value, float) else array.copy()
    array[(place,) + (0,) * (array.ndim - 1)] = value
    return array


def flawed(name, x, y):
    """Data with one flaw, and what the error must say."""
    one_hot = np.eye(2)[y]
    two_ones, none = one_hot.copy(), one_hot.copy()
    two_ones[27], none[27] = 1.0, 0.0
    return {
        "nan pixel": (with_value(x, np.nan), y, r"finite. Received: 1 values.*nan"),
        "infinite pixel": (with_value(x, -np.inf), y, r"finite. Received: 1 values.*-inf"),
        "label too high": (x, with_value(y, 2), r"0 to 1 .*2 classes. Received: 2 "),
        "label below zero": (x, with_value(y, -1), r"0 to 1 .*Received: -1 "),
        "fractional label": (x, with_value(y, 0.5), r"whole numbers. Received: 0.5"),
        "nan label": (x, with_value(y, np.nan), r"whole numbers. Received: nan"),
        "two ones in a row": (x, two_ones, r"a single 1 .*Received: a row \[1.0, 1.0\]"),
        "no one in a row": (x, none, r"a single 1 .*Received: a row \[0.0, 0.0\]"),
        "one-hot of other classes": (
            x,
            np.eye(3)[y],
            r"\(batch, 2\). Received: y of shape \(\d+, 3",
        ),
        "labels of rank 3": (x, one_hot[:, None], r"Received: y of shape \(\d+, 1, 2\)"),
        "samples of rank 1": (x[:, 0], y, r"batch axis.*Received: x of shape \(\d+,\)"),
        "samples of another shape": (x[:, :5], y, r"shape \(6,\). Received: x of shape \(\d+, 5\)"),
        "samples of another rank": (x[:, None], y, r"Received: x of shape \(\d+, 1, 6\)"),
    }[name]


FLAWS = [
    "nan pixel",
    "infinite pixel",
    "label too high",
    "label below zero",
    "fractional label",
    "nan label",
    "two ones in a row",
    "no one in a row",
    "one-hot of other classes",
    "labels of rank 3",
    "samples of rank 1",
    "samples of another shape",
    "samples of another rank",
]
# What a stream is checked with: the arrays' tests have shown the rest.
SOME = ["nan pixel", "label too high", "fractional label", "samples of another shape"]
METHODS = ["fit", "evaluate", "train_on_batch", "test_on_batch"]


@pytest.fixture(scope="module")
def model(new_model):
    """A model that no test here moves."""
    return new_model()


@pytest.fixture
def refused(model, values, same):
    """A function that asserts a call to be refused with `match`, and the model to stay as it is."""

    def check(match, method, *data, stays=True, **arguments):
        before = values(model)
        quiet = {} if method.endswith("on_batch") else {"verbose": 0}
        with pytest.raises(ValueError, match=match):
            getattr(model, method)(*data, **quiet, **arguments)
        if stays:
            same(values(model), before)

    return check


@pytest.fixture
def stream(tf_dataset, py_dataset, generator):
    """A function that makes a stream of a kind over arrays, in batches of 12, 12 and 6."""

    def make(kind, *arrays):
        if kind == "tf.data":
            return tf_dataset(*arrays, batch_size=12)
        if kind == "generator":
            return generator(*arrays, endless=False, batch_size=12)
        workers = {"workers": 2, "use_multiprocessing": False} if "workers" in kind else {}
        return py_dataset(*arrays, batch_size=12, **workers)

    return make


STREAMS = ["tf.data", "generator", "PyDataset", "PyDataset with workers"]


# --- arrays -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("flaw", FLAWS)
def test_arrays(flaw, method, refused, two_classes):
    x, y, message = flawed(flaw, *two_classes)
    refused(message, method, x, y)


@pytest.mark.parametrize("method", ["predict", "predict_on_batch"])
def test_arrays_in_predict(method, refused, two_classes):
    for flaw in ("nan pixel", "samples of rank 1", "samples of another shape"):
        x, _, message = flawed(flaw, *two_classes)
        refused(message, method, x)


def test_tensors(refused, two_classes):
    x, y, message = flawed("nan pixel", *two_classes)
    refused(message, "fit", keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y))


def test_validation_data(refused, two_classes):
    for flaw in SOME:
        x, y, message = flawed(flaw, *two_classes)
        refused(message, "fit", *two_classes, validation_data=(x, y))


def test_validation_split_is_checked_with_the_rest(refused, two_classes):
    x, y = two_classes
    refused("Received: 9 among", "fit", x, with_value(y, 9, place=29), validation_split=0.2)


def test_empty_arrays(refused, two_classes):
    x, y = two_classes
    for method in METHODS:
        refused(r"no data.*Received: x of shape \(0, 6\)", method, x[:0], y[:0])
    refused(r"no data.*Received: x of shape \(0, 6\)", "predict", x[:0])
    refused("no data", "fit", x, y, validation_data=(x[:0], y[:0]))
    refused("no data.*Received: x=None", "fit")


def test_missing_labels(refused, two_classes):
    x, y = two_classes
    for method in METHODS:
        refused("Labels are needed.*Received: y=None", method, x)
    refused("Labels are needed", "fit", x, y, validation_data=(x,))


def test_another_number_of_labels(refused, two_classes):
    x, y = two_classes
    for method in METHODS:
        refused("Received: 30 samples and 29 labels", method, x, y[:29])


def test_text_is_refused(refused, two_classes):
    x, y = two_classes
    refused("Received: y of dtype <U", "fit", x, y.astype(str))
    refused("Received: x of dtype <U", "fit", x.astype(str), y)


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_sample_weights(method, refused, two_classes):
    x, y = two_classes
    weights = np.ones(len(x))
    for bad, message in (
        (with_value(weights, np.nan), r"finite. Received: 1 values that are not, .* nan"),
        (with_value(weights, np.inf), r"finite. Received: 1 values that are not, .* inf"),
        (weights[:29], r"one weight for each sample.*Received: sample_weight of shape \(29,\)"),
        (np.ones((len(x), 2)), r"Received: sample_weight of shape \(30, 2\)"),
        (weights.astype(str), r"must be numbers. Received: sample_weight of dtype <U"),
    ):
        refused(message, method, x, y, sample_weight=bad)


def test_sample_weights_of_validation_data(refused, two_classes):
    x, y = two_classes
    weights = with_value(np.ones(len(x)), np.nan)
    refused("weights must be finite", "fit", x, y, validation_data=(x, y, weights))


@pytest.mark.parametrize("kind", STREAMS)
def test_sample_weights_in_a_stream(kind, refused, two_classes, stream):
    x, y = two_classes
    weights = with_value(np.ones(len(x), "float32"), np.nan, place=3)
    refused("weights must be finite", "evaluate", stream(kind, x, y, weights))


@pytest.mark.slow
def test_sample_weights_of_any_shape_that_fits(new_model, two_classes):
    x, y = two_classes
    model = new_model()
    weights = np.linspace(0.5, 1.5, len(x))
    values = [
        model.evaluate(x, y, sample_weight=each, verbose=0, return_dict=True)["loss"]
        for each in (weights, weights[:, None], weights.astype("float32"))
    ]
    np.testing.assert_allclose(values, values[0], rtol=1e-5)


@pytest.mark.parametrize("bad", [{0: 1.0, 1: np.nan}, {0: 1.0, 2: 1.0}, {1: np.inf}], ids=str)
def test_class_weights(bad, refused, two_classes):
    for method in ("fit", "train_on_batch"):
        refused(
            "`class_weight` must give classes out of 0 to 1", method, *two_classes, class_weight=bad
        )


def test_a_single_sample(refused, two_classes):
    x, y = two_classes
    message = r"batches, of shape \(batch, 6\): .*x\[None\].*Received: a single sample, x of shape"
    refused(message, "predict", x[0])
    refused(message, "predict_on_batch", x[0])
    refused(message, "evaluate", x[0], y[0])


def test_a_single_sample_that_the_model_is_called_with(model, two_classes):
    with pytest.raises(ValueError, match=r"x\[None\] is one of a single sample"):
        model(two_classes[0][0])


@pytest.mark.parametrize("one_hot", [False, True])
@pytest.mark.parametrize("schedule", ["greedy", "simultaneous"])
def test_a_dataset_that_is_not_batched(schedule, one_hot, three_classes):
    import tensorflow as tf

    x, y = three_classes
    layers = [keras_ff.layers.FFDense(4) for _ in range(2)]
    model = keras_ff.FFModel(layers, num_classes=3, layer_schedule=schedule)
    model.compile(metrics=["accuracy"], run_eagerly=True)
    labels = np.eye(3, dtype="float32")[y] if one_hot else y
    single = tf.data.Dataset.from_tensor_slices((x, labels))
    with pytest.raises(ValueError, match=r"one by one: batch it, dataset\.batch\(32\)"):
        model.fit(single, verbose=0)
    with pytest.raises(ValueError, match="one by one"):
        model.fit(x, y, validation_data=single, verbose=0)
    assert not model.built


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_other_streams_that_are_not_batched(method, model, two_classes):
    x, y = two_classes
    labels = () if method == "predict" else (y,)

    def samples():
        yield from zip(x, *labels, strict=True)

    with pytest.raises(ValueError, match="come in batches"):
        getattr(model, method)(samples(), verbose=0)
    if method != "predict":
        single = keras_ff.FFModel([keras_ff.layers.FFDense(4)], num_classes=2)
        single.compile(run_eagerly=True)
        with pytest.raises(ValueError, match="is a batch of a single sample"):
            getattr(single, method)(samples(), verbose=0)


@pytest.mark.slow
def test_a_batch_as_large_as_there_are_classes_is_none_of_single_samples(new_model, two_classes):
    """Though labels of shape (2,) could be one that is one-hot."""
    import tensorflow as tf

    batches = tf.data.Dataset.from_tensor_slices(two_classes).batch(2, drop_remainder=True)
    assert np.isfinite(new_model().evaluate(batches, verbose=0)).all()


@pytest.mark.slow
def test_whole_numbers_of_any_type_are_taken(new_model, two_classes):
    x, y = two_classes
    losses = set()
    for kind in ("int8", "uint8", "int64", "float32", "float64", "bool"):
        losses.add(new_model().evaluate(x, y.astype(kind), verbose=0, return_dict=True)["loss"])
    assert len(losses) == 1


@pytest.mark.slow
def test_whole_pixels_are_taken(new_model):
    x = np.random.default_rng(0).integers(0, 256, (12, 6))
    y = np.arange(12) % 2
    scores = [
        new_model().predict(x.astype(kind), verbose=0)
        for kind in ("uint8", "int32", "int64", "float32", "float64")
    ]
    for other in scores[1:]:
        np.testing.assert_allclose(other, scores[0], rtol=1e-5)
    losses = new_model().fit(x.astype("uint8"), y, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_a_model_that_is_not_built_refuses_too(two_classes):
    x, y = two_classes
    model = keras_ff.FFModel([keras_ff.layers.FFDense(4)], num_classes=2)
    model.compile(run_eagerly=True)
    with pytest.raises(ValueError, match="Received: 2 among"):
        model.fit(x, with_value(y, 2), verbose=0)
    assert not model.built


# --- streams ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("flaw", ["nan pixel", "label too high"])
def test_streams_in_fit(flaw, kind, new_model, two_classes, stream, values, same):
    x, y, message = flawed(flaw, *two_classes)
    model, by_hand = new_model(), new_model()
    with pytest.raises(ValueError, match=message):
        model.fit(stream(kind, x, y), epochs=2, shuffle=False, verbose=0)
    # The two batches before the flaw are used, the third is not.
    for part in (slice(12), slice(12, 24)):
        by_hand.train_on_batch(x[part], y[part])
    same(values(model.trainable_variables), values(by_hand.trainable_variables), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", STREAMS)
def test_streams_of_other_types_and_shapes_in_fit(kind, refused, two_classes, stream):
    for flaw in ("fractional label", "samples of another shape", "samples of rank 1"):
        x, y, message = flawed(flaw, *two_classes)
        refused(message, "fit", stream(kind, x, y), stays=flaw != "fractional label")


@pytest.mark.slow
@pytest.mark.parametrize("kind", STREAMS)
def test_streams_in_evaluate(kind, refused, two_classes, stream):
    for flaw in SOME:
        x, y, message = flawed(flaw, *two_classes)
        refused(message, "evaluate", stream(kind, x, y))


@pytest.mark.slow
@pytest.mark.parametrize("kind", STREAMS)
def test_streams_in_predict(kind, refused, two_classes, stream):
    x, y, message = flawed("nan pixel", *two_classes)
    refused(message, "predict", stream(kind, x))
    refused(message, "predict", stream(kind, x, y))


@pytest.mark.slow
@pytest.mark.parametrize("kind", STREAMS)
def test_streams_as_validation_data(kind, refused, two_classes, stream):
    x, y, message = flawed("label too high", *two_classes)
    refused(message, "fit", *two_classes, validation_data=stream(kind, x, y), stays=False)


@pytest.mark.parametrize("kind", STREAMS)
def test_empty_streams(kind, refused, two_classes, stream):
    x, y = two_classes
    # Generators are refused in Keras's words.
    message = r"no data to work on.*Received: a|at least one batch.*Received an empty generator"
    refused(message, "fit", stream(kind, x[:0], y[:0]))
    refused(message, "evaluate", stream(kind, x[:0], y[:0]))
    refused(message, "predict", stream(kind, x[:0]))


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_a_dataset_that_turns_out_empty(method, refused, two_classes, tf_dataset):
    filtered = tf_dataset(*two_classes).filter(lambda x, y: False)
    refused("no data to work on.*Received: ", method, filtered)


@pytest.mark.slow
def test_validation_data_that_turn_out_empty(refused, two_classes, tf_dataset):
    filtered = tf_dataset(*two_classes).filter(lambda x, y: False)
    refused("no data to work on", "fit", *two_classes, validation_data=filtered, stays=False)


@pytest.mark.parametrize("kind", STREAMS)
def test_streams_without_labels(kind, refused, two_classes, stream):
    x, _ = two_classes
    refused("Labels are needed", "fit", stream(kind, x))
    refused("Labels are needed", "evaluate", stream(kind, x))


# --- however the step is run ------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"run_eagerly": False},
        {"run_eagerly": False, "jit_compile": True},
        {"run_eagerly": False, "steps_per_execution": 2},
    ],
    ids=["compiled", "jit_compile", "steps_per_execution"],
)
def test_however_the_step_is_compiled(options, new_model, two_classes, stream, values, same):
    x, y, message = flawed("label too high", *two_classes)
    model = new_model(**options)
    start = values(model)
    with pytest.raises(ValueError, match=message):
        model.fit(x, y, verbose=0)
    same(values(model), start)
    with pytest.raises(ValueError, match=message):
        model.fit(stream("tf.data", x, y), verbose=0)
    # Generators and the like with the flaw in the first batch, for which nothing is compiled.
    for kind in ("generator", "PyDataset"):
        for method in (model.fit, model.evaluate):
            with pytest.raises(ValueError, match=message):
                method(stream(kind, x[24:], y[24:]), verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["simultaneous", "pipelined"])
def test_a_model_goes_on_after_a_refusal_among_several_steps(
    schedule, new_model, two_classes, stream
):
    x, y, message = flawed("label too high", *two_classes)
    model = new_model(run_eagerly=False, steps_per_execution=3, model={"layer_schedule": schedule})
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=message):
            method(stream("tf.data", x, y), verbose=0)
    model.fit(*two_classes, verbose=0)
    assert np.isfinite(model.predict(x, verbose=0)).all()


@pytest.mark.slow
def test_a_model_goes_on_after_a_refusal(new_model, fit, two_classes, stream, values, same):
    model, untroubled = new_model(run_eagerly=False), new_model(run_eagerly=False)
    x, y, message = flawed("label too high", *two_classes)
    with pytest.raises(ValueError, match=message):
        fit(model, x, y)
    flaw_in_the_first_batch = stream("tf.data", x[24:], y[24:])
    with pytest.raises(ValueError, match=message):
        model.fit(flaw_in_the_first_batch, verbose=0)
    for one in (model, untroubled):
        fit(one, *two_classes)
    same(values(model.trainable_variables), values(untroubled.trainable_variables))


# --- switched off -----------------------------------------------------------------------


@pytest.mark.slow
def test_check_data_false_switches_the_checks_off(new_model, fit, two_classes, stream):
    x, y = two_classes
    bad_x, bad_y = with_value(x, np.nan), with_value(y, 2)
    model = new_model(model={"check_data": False})
    assert np.isnan(model.evaluate(bad_x, y, verbose=0, return_dict=True)["loss"])
    assert np.isnan(model.predict(bad_x, verbose=0)[27]).all()
    assert np.isfinite(model.evaluate(x, bad_y, verbose=0, return_dict=True)["loss"])
    for kind in STREAMS:
        logs = model.evaluate(stream(kind, bad_x, y), verbose=0, return_dict=True)
        assert np.isnan(logs["loss"])
    model.train_on_batch(x, bad_y)
    assert np.isnan(fit(model, bad_x, y).history["loss"][0])
